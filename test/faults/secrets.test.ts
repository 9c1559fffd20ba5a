import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { content } from '../helpers/blob.ts'
import { canary } from '../helpers/canaries.ts'
import { converse } from '../helpers/converse.ts'
import { image } from '../helpers/images.ts'
import { pushImage, type Repository } from '../helpers/push.ts'
import { startServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'
import { append, cancel, finish, startUpload, type Upload } from '../helpers/upload.ts'

/** No part of it says anything else. */
const password = canary('Xylophon7Quagga').replace(' ', '-')
const basic = Buffer.from(`somebody:${password}`).toString('base64')
const credentials = {
  basic: `Basic ${basic}`,
  bearer: `Bearer ${password}.${password}.${password}`,
}
const query = `token=${password}&account=${password}`

/** The last word of an upload's path opens it. */
const addressOf = ({ url }: Upload) => url.pathname.slice(url.pathname.lastIndexOf('/') + 1)

/** What a registry is asked with a secret beside it; whatever it answers. */
async function askEverything(repository: Repository, known: string): Promise<void> {
  const { address, name } = repository
  for (const authorization of Object.values(credentials))
    for (const path of [
      '/v2/',
      `/v2/?${query}`,
      `/v2/_catalog?n=x&${query}`,
      `/v2/${name}/tags/list?${query}`,
      `/v2/${name}/manifests/latest?${query}`,
      `/v2/${name}/manifests/none?${query}`,
      `/v2/${name}/blobs/${known}?${query}`,
      `/v2/${name}/blobs/uploads/${password}?${query}`,
      `/v2/${name}/blobs/uploads/?${query}`,
      `/nowhere/${password}?${query}`,
    ]) {
      const headers = { authorization, cookie: `session=${password}`, 'x-registry-auth': password }
      const answer = await fetch(new URL(path, address), { headers })
      await answer.bytes()
    }
}

/** Uploads in every way that ends in an answer, and the addresses that they had. */
async function upload(repository: Repository): Promise<readonly string[]> {
  const blob = content('secret', 40_000)
  const [whole, wrong, outOfOrder, cancelled] = [
    await startUpload(repository),
    await startUpload(repository),
    await startUpload(repository),
    await startUpload(repository),
  ]
  const grown = await append(whole, blob.bytes.subarray(0, 20_000))
  expect((await finish(grown, blob.digest, blob.bytes.subarray(20_000))).status).toBe(201)
  expect((await finish(wrong, blob.digest, Buffer.from('other'))).status).toBe(400)
  const skipping = { method: 'PATCH', headers: { 'Content-Range': '7-9' }, body: 'abc' }
  expect((await fetch(outOfOrder.url, skipping)).status).toBe(416)
  expect((await cancel(cancelled)).status).toBe(204)
  expect((await cancel(cancelled)).status).toBe(404)
  return [whole, grown, wrong, outOfOrder, cancelled].map(addressOf)
}

/** Requests that no parser takes. */
async function askBadly({ address }: TestServer): Promise<void> {
  const port = Number(new URL(address).port)
  const secret = `Authorization: ${credentials.basic}\r\n`
  for (const [request, status] of [
    [`GET /v2/?${query} HTTP/1.1\r\n${secret}no header\r\n\r\n`, 400],
    [`GET /v2/?${query} HTTP/1.1\r\nHost: a\r\n${secret}${secret}\r\n`, 400],
    [`GET /${password.repeat(4000)} HTTP/1.1\r\nHost: a\r\n${secret}\r\n`, 431],
    [`${password} /v2/ HTTP/1.1\r\nHost: a\r\n${secret}\r\n`, 400],
    [`GET http://u:${password}@a/v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${secret}\r\n`, 404],
  ] as const)
    expect((await converse(port, request)).map(answer => answer.status)).toEqual([status])
}

it.for(['debug', 'trace'])('writes no secret to the log at level %s', async level => {
  await using server = await startServer({ args: ['--log-level', level] })
  const repository: Repository = { address: server.address, name: 'secrets' }
  const pushed = image({ seed: 'secrets', layers: [100_000] })
  const [, layer] = pushed.blobs
  if (!layer || server.data === undefined) throw new Error('there is nothing to lose')
  await pushImage(repository, pushed, 'latest')
  await askEverything(repository, layer.descriptor.digest)
  const addresses = await upload(repository)
  await askBadly(server)
  // What the disk has lost cannot be answered.
  const begun = await startUpload(repository)
  for (const folder of ['d', 'u']) rmSync(join(server.data, folder), { recursive: true })
  writeFileSync(join(server.data, 'u'), 'no folder')
  const lost = new URL(`/v2/secrets/blobs/${layer.descriptor.digest}?${query}`, server.address)
  const headers = { authorization: credentials.basic }
  expect((await fetch(lost, { headers })).status).toBe(500)
  expect((await fetch(begun.url, { method: 'PATCH', headers, body: 'x' })).status).toBe(500)

  const failures = () => server.log.filter(({ status }) => status === 500)
  await until('the log tells of both', () => failures().length === 2)
  const text = server.log.map(line => JSON.stringify(line)).join('\n')
  // That it tells of what was asked, so that there was something to be silent about.
  for (const told of ['"operation":"appendUpload"', '"msg":"client error"', '"stack"', 'did not match'])
    expect(text).toContain(told)
  for (const secret of [password, basic, ...addresses, addressOf(begun)]) expect(text).not.toContain(secret)
})
