/** That the wire to an S3 store passes everything on, and says what passed. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { internalError, slowDown } from '../helpers/s3-faults.ts'
import { startS3Proxy } from '../helpers/s3-proxy.ts'
import { element } from '../helpers/s3-requests.ts'
import { noon, nowhere, put, wired } from '../helpers/s3-wired.ts'

it('passes a request and its answer on as they are', async () => {
  const { store, proxy, ask } = await wired()
  const answer = await ask('/bucket/a%2Bb?x=%20y', {
    ...put('hello'),
    headers: { Host: 'signed.test', 'If-None-Match': '*', Expect: '100-continue', 'Content-Length': '5' },
  })
  expect(answer).toMatchObject({
    status: 200,
    text: '0123456789',
    headers: { date: noon, 'x-twice': 'one, two' },
  })
  expect(store.seen).toMatchObject([
    {
      line: 'PUT /bucket/a%2Bb?x=%20y',
      headers: { host: 'signed.test', 'if-none-match': '*', 'content-length': '5' },
      body: 'hello',
    },
  ])
  expect(proxy.requests).toMatchObject([{ kind: 'PUT object', bucket: 'bucket', key: 'a+b', status: 200 }])
})

it('lets the store refuse before the body is sent', async () => {
  const server = createServer().on('checkContinue', (_, res) =>
    res.writeHead(412, { 'Content-Length': 0 }).end(),
  )
  server.listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  await once(server, 'listening')
  // A TCP server's address is never a string.
  const { port } = server.address() as AddressInfo
  await using proxy = await startS3Proxy({ endpoint: new URL(`http://127.0.0.1:${port}`), ...nowhere })

  let invited = false
  const asking = request(new URL('/bucket/k', proxy.endpoint), {
    method: 'PUT',
    headers: { Expect: '100-continue', 'Content-Length': 1_000_000 },
  })
  asking
    .on('error', () => {})
    .once('continue', () => {
      invited = true
    })
  asking.flushHeaders()
  const [answer] = (await once(asking, 'response')) as [IncomingMessage]
  asking.destroy()
  expect([answer.statusCode, invited]).toEqual([412, false])
})

it('uses the connections to the store again', async () => {
  const { store, ask } = await wired()
  for (const key of ['a', 'b', 'c']) await ask(`/bucket/${key}`)
  expect(store.seen.length).toBe(3)
  expect(store.connections).toBe(1)
})

it.for([
  ['GET', '/', 'GET service'],
  ['PUT', '/bucket', 'PUT bucket'],
  ['HEAD', '/bucket/', 'HEAD bucket'],
  ['GET', '/bucket?list-type=2&prefix=a%2F', 'GET list'],
  ['GET', '/bucket?uploads&prefix=a', 'GET uploads'],
  ['POST', '/bucket?delete', 'POST delete'],
  ['GET', '/bucket/d/k?x-id=GetObject', 'GET object'],
  ['HEAD', '/bucket/d/k', 'HEAD object'],
  ['PUT', '/bucket/d/k', 'PUT object'],
  ['DELETE', '/bucket/d/k', 'DELETE object'],
  ['POST', '/bucket/d/k?uploads', 'POST uploads'],
  ['PUT', '/bucket/d/k?partNumber=1&uploadId=u', 'PUT part'],
  ['GET', '/bucket/d/k?uploadId=u', 'GET parts'],
  ['POST', '/bucket/d/k?uploadId=u', 'POST complete'],
  ['DELETE', '/bucket/d/k?uploadId=u', 'DELETE upload'],
] as const)('takes %s %s for %s', async ([method, path, kind]) => {
  const { proxy, ask } = await wired()
  await ask(path, { method })
  expect(proxy.counts()).toEqual({ [kind]: 1 })
})

it('tells copies from writes', async () => {
  const { proxy, ask } = await wired()
  const headers = { 'x-amz-copy-source': '/bucket/other' }
  await ask('/bucket/k', { method: 'PUT', headers })
  const before = proxy.requests.length
  await ask('/bucket/k?partNumber=1&uploadId=u', { method: 'PUT', headers })
  expect(proxy.counts()).toEqual({ 'PUT copy': 1, 'PUT part copy': 1 })
  expect(proxy.counts(before)).toEqual({ 'PUT part copy': 1 })
})

it.for([
  [internalError, 500, 'InternalError'],
  [slowDown, 503, 'SlowDown'],
] as const)('answers %o in place of the store', async ([fault, status, code]) => {
  const { store, proxy, ask } = await wired()
  proxy.inject(fault, { times: 2 })
  const refused = await ask('/bucket/k', put(Buffer.alloc(1_000_000)))
  expect([refused.status, element(refused.text, 'Code')]).toEqual([status, code])
  expect(await ask('/bucket/k', { method: 'HEAD' })).toMatchObject({ status, text: '' })
  expect(store.seen).toEqual([])
  expect((await ask('/bucket/k')).status).toBe(200)
  expect(proxy.requests.map(each => each.fault)).toEqual(['error', 'error', undefined])
  expect(proxy.requests.map(each => each.status)).toEqual([status, status, 200])
})
