/** Lists that a store gives in pages: what is asked for next, and what is made of pages that lead nowhere. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, it as plainIt } from 'vitest'
import type { Bucket } from '../../storage/bucket.ts'
import { bucketAt } from '../helpers/buckets.ts'
import { describeEngines } from '../helpers/s3-engine.ts'
import { startS3Proxy } from '../helpers/s3-proxy.ts'
import { fault, io } from '../helpers/waiting.ts'

/** A bucket of a store that gives every list the same page; and how often it has. */
async function repeating(page: string): Promise<{ readonly bucket: Bucket; asked(): number }> {
  let asked = 0
  const server = createServer((_, res) => {
    // By now it has gone round.
    if (++asked > 10) return res.destroy()
    const name = page.includes('<Part') ? 'ListPartsResult' : 'ListResult'
    res.writeHead(200, { 'Content-Type': 'application/xml' })
    return res.end(`<${name}><IsTruncated>true</IsTruncated>${page}</${name}>`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  const endpoint = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const place = { endpoint, region: 'r', accessKeyId: 'a', secretAccessKey: 's' }
  return { bucket: bucketAt(place, 'b'), asked: () => asked }
}

const upload = { key: 'd/1', uploadId: 'u' }
const part = '<Part><PartNumber>3</PartNumber><ETag>"1"</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>'
const open = '<Upload><Key>d/1</Key><UploadId>u</UploadId></Upload>'

plainIt.for<[what: string, page: string, ask: (bucket: Bucket) => Promise<unknown>, asked: number]>([
  ['parts without a marker', part, bucket => bucket.parts(upload, io), 1],
  [
    'parts with the same marker',
    `${part}<NextPartNumberMarker>3</NextPartNumberMarker>`,
    bucket => bucket.parts(upload, io),
    2,
  ],
  ['uploads without a marker', open, bucket => bucket.multiparts('d/', io), 1],
  [
    'uploads with the same marker',
    `${open}<NextKeyMarker>d/1</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>`,
    bucket => bucket.multiparts('d/', io),
    2,
  ],
  ['objects, and none of them', '', bucket => bucket.list('t/', { ...io, limit: 10 }), 1],
])('ends a list of %s', async ([, page, ask, wanted]) => {
  const { bucket, asked } = await repeating(page)
  await expect(ask(bucket)).rejects.toMatchObject({
    ...fault('STORAGE_UNAVAILABLE'),
    message: 'storage says that a list goes on, but not from where',
  })
  expect(asked()).toBe(wanted)
})

describeEngines(it => {
  it('finds open uploads by what their keys begin with, and asks for no others where that can be', async ({
    engine,
    bucket: name,
  }) => {
    await using wire = await startS3Proxy(engine)
    const bucket = bucketAt(wire, name, { prefix: 'p' })
    const keys = ['d/a.1', 'd/a.2', 'd/b.1', 'e/a']
    for (const key of keys) await bucket.startMultipart(key, io)
    const found = async (under: string) =>
      (await bucket.multiparts(under, io)).map(({ key }) => key).toSorted()
    for (let round = 0; round < 2; round++) {
      expect(await found('d/none')).toEqual([])
      expect(await found('d/a.')).toEqual(keys.slice(0, 2))
      expect(await found('d/')).toEqual(keys.slice(0, 3))
      expect(await found('')).toEqual(keys)
    }
    const since = wire.requests.length
    await found('d/a.')
    const asked = wire.requests.slice(since).map(({ query }) => query.get('prefix'))
    expect(asked).toEqual([engine.name === 'versitygw' ? 'p/d/a.' : null])
  })
})
