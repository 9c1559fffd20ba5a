/** That the wire to an S3 store fails as it is told to. */
import { once } from 'node:events'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { type HttpRequest, send } from '../helpers/http.ts'
import { internalError, slowDown } from '../helpers/s3-faults.ts'
import { startS3Proxy } from '../helpers/s3-proxy.ts'
import { nowhere, put, wired } from '../helpers/s3-wired.ts'
import { until } from '../helpers/until.ts'

it('happens to the requests it is meant for, as often as it is meant to', async () => {
  const { proxy, ask } = await wired()
  const twice = proxy.inject(slowDown, { when: ({ kind }) => kind === 'PUT object', times: 2 })
  const always = proxy.inject(internalError, {
    when: ({ key }) => key === 'b',
    times: Number.POSITIVE_INFINITY,
  })
  const statusOf = async (path: string, request?: HttpRequest) => (await ask(path, request)).status
  expect(await statusOf('/bucket/a')).toBe(200)
  expect(await statusOf('/bucket/b')).toBe(500)
  expect(await statusOf('/bucket/b', put('x'))).toBe(503)
  expect(await statusOf('/bucket/a', put('x'))).toBe(503)
  expect(await statusOf('/bucket/a', put('x'))).toBe(200)
  expect(await statusOf('/bucket/b', put('x'))).toBe(500)
  expect([twice.happened, always.happened]).toEqual([2, 2])
  always.stop()
  expect(await statusOf('/bucket/b')).toBe(200)
})

it('resets the connection before the store hears of it', async () => {
  const { store, proxy, ask } = await wired()
  proxy.inject({ kind: 'resetAtOnce' })
  await expect(ask('/bucket/k', put('hello'))).rejects.toMatchObject({ code: 'ECONNRESET' })
  expect(store.seen).toEqual([])
  expect((await ask('/bucket/k', put('hello'))).status).toBe(200)
})

it.for(['reset', 'end'] as const)('cuts a body in the middle, and the store sees a %s', async storeSees => {
  let arrived = Buffer.alloc(0)
  let ended = ''
  const server = createTcpServer(socket => {
    socket.on('data', (chunk: Buffer) => {
      arrived = Buffer.concat([arrived, chunk])
    })
    socket.once('end', () => {
      ended = 'end'
    })
    socket.once('error', () => {
      ended = 'reset'
    })
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  // A TCP server's address is never a string.
  const { port } = server.address() as AddressInfo
  await using proxy = await startS3Proxy({ endpoint: new URL(`http://127.0.0.1:${port}`), ...nowhere })

  proxy.inject({ kind: 'cutRequest', storeSees })
  const sent = send(proxy.endpoint.origin, '/bucket/k', put(Buffer.alloc(1_000_000, 'x')))
  await expect(sent).rejects.toMatchObject({ code: expect.stringMatching(/^(ECONNRESET|EPIPE)$/) })
  await until('the store notices', () => ended !== '')
  expect(ended).toBe(storeSees)
  // What is reset may take bytes with it that were on their way.
  const body = arrived.length - arrived.indexOf('\r\n\r\n') - 4
  if (storeSees === 'end') expect(body).toBe(500_000)
  else expect(body).toBeLessThanOrEqual(500_000)
})

it('hangs, until the client has had enough', async () => {
  const { store, proxy } = await wired()
  proxy.inject({ kind: 'hang' })
  const controller = new AbortController()
  const { signal } = controller
  const waiting = fetch(new URL('/bucket/k', proxy.endpoint), { signal })
  await until('the request is there', () => proxy.requests.length === 1)
  // Whoever comes later is answered before it.
  expect((await fetch(new URL('/bucket/later', proxy.endpoint))).status).toBe(200)
  controller.abort()
  await expect(waiting).rejects.toThrow('aborted')
  expect(store.seen.map(({ line }) => line)).toEqual(['GET /bucket/later'])
  expect(proxy.requests.map(({ status }) => status)).toEqual([0, 200])
})

it('loses the answer to what has been done', async () => {
  const { store, proxy, ask } = await wired()
  proxy.inject({ kind: 'loseAnswer' })
  await expect(ask('/bucket/k', put('hello'))).rejects.toMatchObject({ code: 'ECONNRESET' })
  expect(store.seen).toMatchObject([{ line: 'PUT /bucket/k', body: 'hello' }])
  expect(proxy.requests).toMatchObject([{ status: 0, fault: 'loseAnswer' }])
})

it('keeps back the answer to what has been done', async () => {
  const { store, proxy, ask } = await wired()
  proxy.inject({ kind: 'lateAnswer', ms: 60_000 })
  const controller = new AbortController()
  const { signal } = controller
  const waiting = fetch(new URL('/bucket/k', proxy.endpoint), { method: 'PUT', body: 'hello', signal })
  await until('it is done', () => store.seen.length === 1)
  controller.abort()
  await expect(waiting).rejects.toThrow('aborted')
  proxy.inject({ kind: 'lateAnswer', ms: 10 })
  expect((await ask('/bucket/k')).text).toBe('0123456789')
})

it('brings a request to the store when that has answered the next one', async () => {
  const { store, proxy, ask } = await wired()
  proxy.inject({ kind: 'lateEffect' })
  const controller = new AbortController()
  const { signal } = controller
  const waiting = fetch(new URL('/bucket/k', proxy.endpoint), { method: 'PUT', body: 'first', signal })
  await until('the request is there', () => proxy.requests.length === 1)
  controller.abort()
  await expect(waiting).rejects.toThrow('aborted')
  await ask('/bucket/other', put('other'))
  expect(proxy.landed).toEqual([])
  expect((await ask('/bucket/k', put('second'))).status).toBe(200)
  expect(store.seen.map(({ body }) => body)).toEqual(['other', 'second', 'first'])
  expect(proxy.landed).toEqual([200])
})

it('cuts an answer in the middle', async () => {
  const { proxy } = await wired()
  proxy.inject({ kind: 'cutAnswer' })
  const answer = await fetch(new URL('/bucket/k', proxy.endpoint))
  expect([answer.status, answer.headers.get('content-length')]).toEqual([200, '10'])
  let received = ''
  const read = async () => {
    for await (const chunk of answer.body ?? []) received += Buffer.from(chunk).toString()
  }
  await expect(read()).rejects.toThrow('terminated')
  expect(received).toBe('01234')
})

it('vanishes and comes back', async () => {
  const { proxy, ask } = await wired()
  proxy.inject({ kind: 'hang' })
  const hanging = expect(ask('/bucket/k')).rejects.toMatchObject({ code: 'ECONNRESET' })
  await until('the request is there', () => proxy.requests.length === 1)
  const comeBack = await proxy.vanish()
  await hanging
  await expect(ask('/bucket/k')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  await comeBack()
  expect((await ask('/bucket/k')).status).toBe(200)
})

it('makes those wait who come while it is slow', async () => {
  const { store, proxy, ask } = await wired()
  proxy.delay(1000)
  const slow = ask('/bucket/slow')
  await until('the request is there', () => proxy.requests.length === 1)
  proxy.delay(0)
  await Promise.all([slow, ask('/bucket/fast')])
  expect(store.seen.map(({ line }) => line)).toEqual(['GET /bucket/fast', 'GET /bucket/slow'])
})

it('says another time than it is', async () => {
  const { proxy, ask } = await wired()
  proxy.shiftDate(-20 * 60_000)
  expect((await ask('/bucket/k')).headers.date).toBe('Fri, 20 Nov 2026 11:40:00 GMT')
})
