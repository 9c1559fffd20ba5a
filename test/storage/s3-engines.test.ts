/** What the S3 engines that we test with do, where the adapter depends on it or they differ: a new release shows here first. */
import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { expect } from 'vitest'
import { send } from '../helpers/http.ts'
import { s3Checksums } from '../helpers/s3-checksums.ts'
import { describeEngines } from '../helpers/s3-engine.ts'
import { element, elements, type S3Answer, type S3Requests, s3Requests } from '../helpers/s3-requests.ts'
import { signed } from '../helpers/s3-signature.ts'
import { until } from '../helpers/until.ts'

const all = (times: number, act: () => Promise<S3Answer>) => Promise.all(Array.from({ length: times }, act))
const statuses = (answers: readonly S3Answer[]) => answers.map(({ status }) => status).toSorted()
const etagOf = ({ headers }: S3Answer) => headers.etag ?? ''
const listed = (answer: S3Answer) => elements(answer.text, 'Key')
const minutes = (count: number) => new Date(Date.now() + count * 60_000)

async function begin(
  s3: S3Requests,
  key: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<string> {
  const answer = await s3.post({ key, query: { uploads: '' }, headers })
  return element(answer.text, 'UploadId') ?? ''
}

const part = (
  s3: S3Requests,
  key: string,
  uploadId: string,
  number: number,
  body: string | Buffer,
  headers = {},
) => s3.put({ key, query: { uploadId, partNumber: String(number) }, body, headers })

interface Part {
  readonly etag: string
  /** As an element. */
  readonly sum?: string
}

const completion = (parts: readonly Part[]) =>
  `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${parts
    .map(
      ({ etag, sum = '' }, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${etag}</ETag>${sum}</Part>`,
    )
    .join('')}</CompleteMultipartUpload>`

describeEngines(it => {
  it('lets one of many put what is absent', async ({ engine, bucket }) => {
    const s3 = s3Requests(engine, bucket)
    const absent = { 'if-none-match': '*' }
    expect((await s3.put({ key: 'alone', body: '1', headers: absent })).status).toBe(200)
    expect(await s3.put({ key: 'alone', body: '2', headers: absent })).toMatchObject({
      status: 412,
      code: 'PreconditionFailed',
    })
    for (const key of ['a', 'b', 'c', 'd', 'e']) {
      const answers = await all(8, () => s3.put({ key, body: 'x', headers: absent }))
      expect(statuses(answers)).toEqual([200, ...Array(7).fill(412)])
    }
  })

  it('replaces what has the etag, once', async ({ engine, bucket }) => {
    const s3 = s3Requests(engine, bucket)
    const etag = etagOf(await s3.put({ key: 'k', body: '1' }))
    const answers = await all(8, () => s3.put({ key: 'k', body: '2', headers: { 'if-match': etag } }))
    expect(statuses(answers)).toEqual([200, ...Array(7).fill(412)])
    expect((await s3.put({ key: 'k', body: '3', headers: { 'if-match': etag } })).status).toBe(412)
    expect((await s3.put({ key: 'none', body: '3', headers: { 'if-match': etag } })).code).toBe('NoSuchKey')
    expect((await s3.get({ key: 'none' })).status).toBe(404)
  })

  it('removes under a condition: versitygw by the etag, minio whatever it is', async ({ engine, bucket }) => {
    const s3 = s3Requests(engine, bucket)
    const etag = etagOf(await s3.put({ key: 'k', body: '1' }))
    const wrong = await s3.remove({ key: 'k', headers: { 'if-match': '"0123456789abcdef0123456789abcdef"' } })
    const left = await s3.get({ key: 'k' })
    expect([wrong.status, left.status]).toEqual(engine.name === 'minio' ? [204, 404] : [412, 200])
    expect((await s3.remove({ key: 'k', headers: { 'if-match': etag } })).status).toBe(204)
    expect((await s3.get({ key: 'k' })).status).toBe(404)
  })

  it('completes an upload only where nothing is', async ({ engine, bucket }) => {
    const s3 = s3Requests(engine, bucket)
    const headers = { 'if-none-match': '*' }
    const complete = async () => {
      const uploadId = await begin(s3, 'k')
      const body = completion([{ etag: etagOf(await part(s3, 'k', uploadId, 1, 'x')) }])
      const first = await s3.post({ key: 'k', query: { uploadId }, body, headers })
      const again = await s3.post({ key: 'k', query: { uploadId }, body })
      return [first.status, again.status]
    }
    // To one of them, an upload that is complete is still the upload of that object.
    expect(await complete()).toEqual(engine.name === 'minio' ? [200, 404] : [200, 200])
    expect(await complete()).toEqual([412, 200])
  })

  it.for(['crc32', 'crc64nvme'] as const)(
    'believes a %s of the whole upload',
    async (name, { engine, bucket }) => {
      const s3 = s3Requests(engine, bucket)
      const sum = s3Checksums[name]
      const [key, tag] = ['k', `Checksum${name.toUpperCase()}`]
      const kind = { 'x-amz-checksum-type': 'FULL_OBJECT' }
      // The shortest that is a part but not the last.
      const bodies = [Buffer.alloc(5 * 1024 * 1024, 'p'), Buffer.from('tail')]
      const uploadId = await begin(s3, key, { 'x-amz-checksum-algorithm': name.toUpperCase(), ...kind })
      const wrong = await part(s3, key, uploadId, 1, 'x', {
        [`x-amz-checksum-${name}`]: sum(Buffer.from('y')),
      })
      expect(wrong.status).toBe(400)
      const parts: Part[] = []
      for (const [at, bytes] of bodies.entries()) {
        const header = { [`x-amz-checksum-${name}`]: sum(bytes) }
        const etag = etagOf(await part(s3, key, uploadId, at + 1, bytes, header))
        parts.push({ etag, sum: `<${tag}>${sum(bytes)}</${tag}>` })
      }
      const list = await s3.get({ key, query: { uploadId } })
      expect(elements(list.text, tag)).toEqual(bodies.map(sum))

      const complete = (value: string) =>
        s3.post({
          key,
          query: { uploadId },
          body: completion(parts),
          headers: { ...kind, [`x-amz-checksum-${name}`]: value },
        })
      expect((await complete(sum(Buffer.from('something else')))).status).toBe(400)
      expect((await s3.head({ key })).status).toBe(404)
      expect((await complete(sum(Buffer.concat(bodies)))).status).toBe(200)
      const { headers } = await s3.head({ key, headers: { 'x-amz-checksum-mode': 'ENABLED' } })
      expect(headers[`x-amz-checksum-${name}`]).toBe(sum(Buffer.concat(bodies)))
    },
  )

  it('stores a body that nobody vouches for, and refuses one that is not as vouched', async ({
    engine,
    bucket,
  }) => {
    const s3 = s3Requests(engine, bucket)
    expect((await s3.put({ key: 'k', body: 'abc' })).status).toBe(200)
    const other = createHash('sha256').update('abd')
    const refused = await s3.put({
      key: 'hashed',
      body: 'abc',
      headers: { 'x-amz-content-sha256': other.digest('hex') },
    })
    expect(refused).toMatchObject({ status: 400, code: 'XAmzContentSHA256Mismatch' })
    expect((await s3.get({ key: 'hashed' })).status).toBe(404)
  })

  it.for([
    ['and keeps the half on versitygw', {}, ['versitygw']],
    ['and keeps none of it that has a checksum', { 'x-amz-checksum-crc32': 'u9yKHA==' }, []],
  ] as const)('is sent half a body %s', async ([, vouched, keepers], { engine, bucket }) => {
    const url = new URL(`/${bucket}/cut`, engine.endpoint)
    const headers = signed({ method: 'PUT', url, headers: { host: url.host, ...vouched } }, engine)
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
    const socket = connect({ port: Number(url.port), host: url.hostname, allowHalfOpen: true })
    socket.end(
      `PUT ${url.pathname} HTTP/1.1\r\nContent-Length: 100000\r\n${lines.join('\r\n')}\r\n\r\n${'x'.repeat(50_000)}`,
    )
    // It is done with the request when it has nothing more to say.
    socket.resume()
    await until('the engine ends the connection', () => socket.readableEnded || socket.destroyed)
    socket.destroy()
    const { status, headers: kept } = await s3Requests(engine, bucket).head({ key: 'cut' })
    const keeps = (keepers as readonly string[]).includes(engine.name)
    expect([status, status === 200 && kept['content-length']]).toEqual(keeps ? [200, '50000'] : [404, false])
  })

  it('lists in the order of bytes, after any key', async ({ engine, bucket }) => {
    const s3 = s3Requests(engine, bucket)
    const names = ['A', 'a', 'a!', 'a-', 'a.', 'a_']
    for (const name of names.toReversed()) await s3.put({ key: `l/${name}`, body: 'x' })
    for (const name of ['n/a/x', 'n/a.b', 'n/a-b/x']) await s3.put({ key: name, body: 'x' })
    const list = (query: Readonly<Record<string, string>>) =>
      s3.get({ query: { 'list-type': '2', ...query } })

    expect(listed(await list({ prefix: 'l/' }))).toEqual(names.map(name => `l/${name}`))
    for (const [at, name] of names.entries()) {
      const after = listed(await list({ prefix: 'l/', 'start-after': `l/${name}` }))
      expect(after).toEqual(names.slice(at + 1).map(other => `l/${other}`))
    }
    const page = await list({ prefix: 'l/', 'start-after': 'l/a#', 'max-keys': '2' })
    expect([...listed(page), element(page.text, 'IsTruncated')]).toEqual(['l/a-', 'l/a.', 'true'])
    expect(listed(await list({ prefix: 'n/' }))).toEqual(['n/a-b/x', 'n/a.b', 'n/a/x'])
  })

  it('lists what was put, and not what was removed, at once', async ({ engine, bucket }) => {
    const s3 = s3Requests(engine, bucket)
    const list = async () => listed(await s3.get({ query: { 'list-type': '2', prefix: 'l/' } }))
    for (let round = 0; round < 20; round += 1) {
      await s3.put({ key: `l/${round}`, body: 'x' })
      expect(await list()).toEqual([`l/${round}`])
      await s3.remove({ key: `l/${round}` })
      expect(await list()).toEqual([])
    }
  })

  it('lists the uploads of a key and their parts', async ({ engine, bucket }) => {
    const s3 = s3Requests(engine, bucket)
    const uploadId = await begin(s3, 'd/00/k')
    const etags = [etagOf(await part(s3, 'd/00/k', uploadId, 1, 'one'))]
    etags.push(etagOf(await part(s3, 'd/00/k', uploadId, 2, 'three')))
    const uploads = (prefix: string) => s3.get({ query: { uploads: '', prefix } })
    expect(elements((await uploads('d/00/k')).text, 'UploadId')).toEqual([uploadId])
    expect(listed(await uploads('d/'))).toEqual(engine.name === 'minio' ? [] : ['d/00/k'])
    expect(listed(await uploads(''))).toEqual(['d/00/k'])

    const { text } = await s3.get({ key: 'd/00/k', query: { uploadId } })
    expect(elements(text, 'PartNumber')).toEqual(['1', '2'])
    expect(elements(text, 'Size')).toEqual(['3', '5'])
    expect(elements(text, 'ETag').map(etag => etag.replaceAll('&#34;', '"'))).toEqual(etags)
    expect(listed(await s3.get({ query: { 'list-type': '2' } }))).toEqual([])
  })

  it('takes parts of different sizes', async ({ engine, bucket }) => {
    const s3 = s3Requests(engine, bucket)
    const uploadId = await begin(s3, 'k')
    const parts: Part[] = []
    for (const [at, size] of [5 * 1024 * 1024 + 1000, 5 * 1024 * 1024, 10].entries())
      parts.push({ etag: etagOf(await part(s3, 'k', uploadId, at + 1, Buffer.alloc(size))) })
    expect((await s3.post({ key: 'k', query: { uploadId }, body: completion(parts) })).status).toBe(200)
  })

  it('answers a presigned address with a range and the type that was asked for', async ({
    engine,
    bucket,
  }) => {
    const s3 = s3Requests(engine, bucket)
    await s3.put({ key: 'k', body: '0123456789' })
    const address = s3.presign({ key: 'k', query: { 'response-content-type': 'application/x-own' } })
    const answer = await fetch(address, { headers: { Range: 'bytes=3-5' } })
    expect(answer.status).toBe(206)
    expect(answer.headers.get('content-type')).toBe('application/x-own')
    expect(answer.headers.get('content-range')).toBe('bytes 3-5/10')
    expect(await answer.text()).toBe('345')
    address.searchParams.set('response-content-type', 'text/html')
    expect((await fetch(address)).status).toBe(403)
  })

  it('says what time it is, and refuses what was signed 20 minutes from it', async ({ engine, bucket }) => {
    const s3 = s3Requests(engine, bucket)
    const { headers } = await s3.head({ key: 'none' })
    expect(Math.abs(Date.parse(headers.date ?? '') - Date.now())).toBeLessThan(60_000)
    for (const at of [minutes(-20), minutes(20)])
      expect(await s3.put({ key: 'late', body: 'x', at })).toMatchObject({
        status: 403,
        code: 'RequestTimeTooSkewed',
      })
    expect((await s3.get({ key: 'late' })).status).toBe(404)
    expect((await s3.put({ key: 'late', body: 'x', at: minutes(-10) })).status).toBe(200)
  })

  it('does not mind which host was signed', async ({ engine, bucket }) => {
    const url = new URL(`/${bucket}/k`, engine.endpoint)
    const headers = signed({ method: 'PUT', url, headers: { host: 'store.test' } }, engine)
    expect((await send(url.origin, url.pathname, { method: 'PUT', headers, body: 'x' })).status).toBe(200)
  })
})
