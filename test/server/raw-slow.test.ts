import { once } from 'node:events'
import { setInterval as every } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { memoryStore } from '../../storage/memory.ts'
import { content, fetched } from '../helpers/blob.ts'
import { converse } from '../helpers/converse.ts'
import { ownedFolder } from '../helpers/folder.ts'
import { startRegistry } from '../helpers/registry.ts'
import { ask, closed, open } from '../helpers/requests.ts'
import { until } from '../helpers/until.ts'
import { finish, startUpload } from '../helpers/upload.ts'

const impatient = { headersMs: 100, keepAliveMs: 100 }
const host = 'Host: test\r\n'

async function begunUpload(port: number): Promise<string> {
  const { headers } = await ask(port, { method: 'POST', target: '/v2/a/blobs/uploads/', body: '' })
  return headers.location ?? ''
}

it.for([
  ['nothing at all', ''],
  ['half a request line', 'GET /v2/'],
  ['headers without their end', `GET /v2/ HTTP/1.1\r\n${host}`],
] as const)('answers 408 to a client that sends %s', async ([, bytes]) => {
  await using registry = await startRegistry({ limits: impatient })
  const answers = await converse(registry.port, bytes)
  expect(answers.map(({ status }) => status)).toEqual([408])
  expect(answers[0]?.headers.connection).toBe('close')
})

it('answers 408 to headers that drip, and others meanwhile', async () => {
  await using registry = await startRegistry({ limits: impatient })
  const drippers = await Promise.all(
    Array.from({ length: 50 }, () => open(registry.port, 'GET /v2/ HTTP/1.1\r\n')),
  )
  const ended = drippers.map(socket => once(socket.resume(), 'end'))
  for await (const at of every(10, 0)) {
    for (const socket of drippers) if (socket.writable) socket.write(`X-${at}: y\r\n`)
    const startedMs = performance.now()
    expect((await ask(registry.port, { target: '/v2/' })).status).toBe(200)
    expect(performance.now() - startedMs).toBeLessThan(500)
    if (drippers.every(socket => socket.readableEnded)) break
  }
  await Promise.all(ended)
  for (const socket of drippers) socket.destroy()
})

it.for([
  ['silent', `Content-Length: 100\r\n\r\n{`],
  ['silent in a chunk', `Transfer-Encoding: chunked\r\n\r\n5\r\n{`],
  ['silent after leave to go on', `Expect: 100-continue\r\nContent-Length: 100\r\n\r\n`],
] as const)('answers 408 to a manifest whose sender falls %s', async ([, rest]) => {
  await using registry = await startRegistry({ pace: { smallBodyMs: 100 } })
  const answers = await converse(registry.port, `PUT /v2/a/manifests/t HTTP/1.1\r\n${host}${rest}`)
  expect(answers.filter(({ status }) => status >= 200).map(({ status }) => status)).toEqual([408])
})

it('gives a manifest that drips no longer than one that is silent', async () => {
  await using registry = await startRegistry({ pace: { smallBodyMs: 100 } })
  const socket = await open(
    registry.port,
    `PUT /v2/a/manifests/t HTTP/1.1\r\n${host}Content-Length: 9999\r\n\r\n`,
  )
  const drip = setInterval(() => socket.write(' '), 10)
  const [chunk] = (await once(socket, 'data')) as [Buffer]
  clearInterval(drip)
  socket.destroy()
  expect(chunk.toString()).toContain(' 408 ')
})

it.for([
  ['falls silent', 0],
  ['drips', 10],
] as const)('cuts off an upload that %s, and keeps what had come', async ([, everyMs]) => {
  await using registry = await startRegistry({ pace: { idleMs: 100 } })
  const location = await begunUpload(registry.port)
  const socket = await open(
    registry.port,
    `PATCH ${location} HTTP/1.1\r\n${host}Content-Length: 99999\r\n\r\nab`,
  )
  const drip = everyMs > 0 ? setInterval(() => socket.writable && socket.write('.'), everyMs) : undefined
  await closed(socket)
  clearInterval(drip)
  const { status, headers } = await ask(registry.port, { target: location })
  expect(status).toBe(204)
  expect(headers.range).toMatch(/^0-[1-9]\d*$/)
})

it('leaves an upload alone that is slow and fast enough', async () => {
  await using registry = await startRegistry({ pace: { idleMs: 50 } })
  const location = await begunUpload(registry.port)
  const body = Buffer.alloc(60 * 100, 'x')
  const socket = await open(
    registry.port,
    `PATCH ${location} HTTP/1.1\r\n${host}Connection: close\r\nContent-Length: ${body.length}\r\n\r\n`,
  )
  const answer = once(socket, 'data') as Promise<[Buffer]>
  let sent = 0
  for await (const _ of every(5)) {
    socket.write(body.subarray(sent, sent + 100))
    sent += 100
    if (sent >= body.length) break
  }
  expect((await answer)[0].toString()).toContain(' 202 ')
  socket.destroy()
})

it('ends a connection that is kept alive for nothing', async () => {
  await using registry = await startRegistry({ limits: impatient })
  const answers = await converse(registry.port, `GET /v2/ HTTP/1.1\r\n${host}\r\n`)
  expect(answers.map(({ status }) => status)).toEqual([200])
})

it('takes no more connections of one address than its share', async () => {
  await using registry = await startRegistry({ limits: { connectionsPerAddress: 5 } })
  const held = await Promise.all(Array.from({ length: 5 }, () => open(registry.port, 'GET ')))
  const refused = await open(registry.port, 'GET ')
  await closed(refused)
  const [first] = held
  first?.destroy()
  await expect
    .poll(() => ask(registry.port, { target: '/v2/' }).catch(() => undefined))
    .toMatchObject({ status: 200 })
  for (const socket of held) socket.destroy()
})

it('ends a connection that asks for more than it reads', async () => {
  await using registry = await startRegistry({ limits: { pipelined: 10 } })
  const socket = await open(registry.port, `GET /v2/ HTTP/1.1\r\n${host}\r\n`.repeat(1000))
  await closed(socket)
  expect(registry.observations.filter(({ event }) => event === 'request').length).toBeLessThan(1000)
})

it.for([
  ['memory', async () => memoryStore()],
  ['a file', async () => (await ownedFolder()).store],
] as const)('cuts off a reader that takes nothing of an answer from %s', async ([, openStore]) => {
  await using registry = await startRegistry({ store: await openStore(), limits: { stallMs: 1_000 } })
  // More than the kernel keeps for both ends of a connection.
  const blob = content('stalled', 12 * 1024 * 1024)
  const repository = { address: registry.address, name: 'stalled' }
  expect((await finish(await startUpload(repository), blob.digest, blob.bytes)).status).toBe(201)
  expect(await fetched(repository, blob)).toBe(blob.digest)
  const socket = await open(
    registry.port,
    `GET /v2/stalled/blobs/${blob.digest} HTTP/1.1\r\n${host}Connection: close\r\n\r\n`,
  )
  const unfinished = () => registry.observations.find(each => each.event === 'request' && each.status === 499)
  await until('the request is over', () => unfinished() !== undefined)
  expect(unfinished()).toMatchObject({ operation: { kind: 'getBlob', digest: blob.digest } })
  let received = 0
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length
  })
  await closed(socket)
  expect(received).toBeLessThan(blob.bytes.length)
})
