import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Worker } from 'node:worker_threads'
import { expect, it, vi } from 'vitest'
import { fileReceiver } from '../../kernel/receiver.ts'
import { chunked } from '../helpers/chunked.ts'
import { converse } from '../helpers/converse.ts'
import { digest, randomBytes } from '../helpers/images.ts'
import { describeUnless, needsSyscalls } from '../helpers/obstacles.ts'
import {
  answerTo,
  bytesOf,
  expectUploaded,
  finishing,
  framings,
  head,
  inChunks,
  receivingForAll,
  resume,
  sizeOf,
  startUpload,
  statuses,
} from '../helpers/receiving.ts'
import { ask, closed, codeOf, open } from '../helpers/requests.ts'
import { until } from '../helpers/until.ts'

const KiB = 1024
const MiB = 1024 * 1024
const BLOCK = 64 * KiB

const registry = await receivingForAll()
const { port } = registry

const connection = (location: string, ...headers: readonly string[]) =>
  open(port, head(`PATCH ${location}`, ...headers))

describeUnless(await needsSyscalls(), 'an upload whose body is broken off', () => {
  const bytes = randomBytes('broken', 4 * MiB)

  it.for([
    ['a size that is not hex', 'x\r\n'],
    ['data without its end', '3\r\nabcd\r\n'],
    ['a request', head('GET /healthz')],
    ['LF for CRLF', '3\nabc\r\n'],
  ] as const)('answers 400 to %s for a chunk, and can be gone on with', async ([, wrong]) => {
    const location = await startUpload(registry)
    const good = chunked(bytes.subarray(0, 2 * MiB), 32 * KiB, 'open')
    const start = head(`PATCH ${location}`, inChunks)
    const [answer] = await converse(port, bytesOf(start, good, wrong, chunked(bytes, BLOCK)))
    expect([answer?.status, answer?.headers.connection]).toEqual([400, 'close'])
    expect(await sizeOf(registry, location)).toBeGreaterThan(MiB)
    expect(await sizeOf(registry, location)).toBeLessThanOrEqual(2 * MiB)
    await expectUploaded(registry, await resume(registry, location, bytes), bytes)
    expect(registry.taken).toHaveLength(1)
  })

  it.for([
    { how: 'ends', leave: (socket: Socket) => socket.end() },
    { how: 'resets the connection', leave: (socket: Socket) => socket.resetAndDestroy() },
  ])('can be gone on with when its client $how', async ({ leave }) => {
    for (const { header, body } of framings) {
      const location = await startUpload(registry)
      const socket = await connection(location, header(bytes.length))
      socket.write(body(bytes).subarray(0, 3 * MiB))
      await until('it is stored', async () => (await sizeOf(registry, location)) > 2_900_000)
      const ended = answerTo(socket)
      leave(socket)
      expect(await ended).toBe('')
      expect(await sizeOf(registry, location)).toBeLessThanOrEqual(3 * MiB)
      await expectUploaded(registry, await resume(registry, location, bytes), bytes)
    }
    expect(registry.taken).toHaveLength(2)
  })

  it('publishes nothing of a PUT whose client leaves', async () => {
    for (const { header, body } of framings) {
      const location = await startUpload(registry)
      const part = bytes.subarray(0, 3 * MiB)
      const socket = await open(port, head(`PUT ${finishing(location, digest(part))}`, header(bytes.length)))
      socket.write(body(bytes).subarray(0, body(part).length - 8))
      await until('it is stored', async () => (await sizeOf(registry, location)) > 2_900_000)
      socket.end()
      await closed(socket)
      expect((await ask(port, { target: `/v2/a/blobs/${digest(part)}` })).status).toBe(404)
      await expectUploaded(registry, await resume(registry, location, bytes), bytes)
    }
  })

  it.for(framings)('lets one client write (a body $framing), and tells another', async ({ header, body }) => {
    const location = await startUpload(registry)
    const socket = await connection(location, header(bytes.length))
    const first = answerTo(socket)
    const framed = body(bytes)
    socket.write(framed.subarray(0, MiB))
    await until('it is being stored', async () => (await sizeOf(registry, location)) > 900_000)
    for (const { header: otherHeader } of framings) {
      // Nothing is sent of what would follow: the answer comes while the client is still sending.
      const other = await connection(location, otherHeader(bytes.length))
      expect(await answerTo(other)).toMatch(/^HTTP\/1\.1 4\d\d .*\r\nConnection: close\r\n/s)
      const eager = bytesOf(
        head(`PATCH ${location}`, otherHeader(20 * MiB)),
        `${(20 * MiB).toString(16)}\r\n`,
      )
      const [answer] = await converse(port, eager, Buffer.alloc(16 * MiB))
      expect(answer && codeOf(answer)).toBe('BLOB_UPLOAD_INVALID')
    }
    socket.write(framed.subarray(MiB))
    expect(await first).toMatch(/^HTTP\/1\.1 202 /)
    await expectUploaded(registry, location, bytes)
    expect(registry.taken).toHaveLength(1)
  })

  it.for(framings)('is refused before its body $framing has been sent', async ({ header }) => {
    for (const [line, status] of [
      ['PATCH /v2/a/blobs/uploads/nothing', 404],
      [`PUT /v2/a/blobs/uploads/nothing?digest=${digest(bytes)}`, 404],
      ['PUT /v2/a/blobs/uploads/nothing', 400],
      ['PATCH /v2/UPPER/blobs/uploads/nothing', 400],
      ['PATCH /nowhere', 404],
    ] as const) {
      for (const begun of ['', '5\r\nab']) {
        const socket = await open(port, head(line, header(bytes.length)) + begun)
        expect(await answerTo(socket)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
      }
    }
    expect(registry.taken).toHaveLength(0)
  })

  it('can be gone on with when the thread that received it is lost', async () => {
    const thread = new Promise<Worker>(resolve => process.once('worker', resolve))
    const onLost = vi.fn()
    const receiver = fileReceiver(onLost)
    await using other = await registry.beside({ receiver })
    const location = await startUpload(other)
    const socket = await open(other.port, head(`PATCH ${location}`, inChunks))
    const answer = answerTo(socket)
    socket.write(chunked(bytes, 32 * KiB).subarray(0, 3 * MiB))
    await until('it is stored', async () => (await sizeOf(other, location)) > 2_900_000)
    await (await thread).terminate()
    expect(await answer).toMatch(/^HTTP\/1\.1 500 .*\r\nConnection: close\r\n/s)
    expect(onLost).toHaveBeenCalledOnce()
    await expectUploaded(registry, await resume(other, location, bytes), bytes)
    // What was held for the thread is Node's to read again.
    for (const { header, body } of framings) {
      const target = await startUpload(other)
      const start = head(`PATCH ${target}`, header(bytes.length), 'Connection: close')
      expect(statuses(await converse(other.port, start, body(bytes)))).toEqual([202])
      await expectUploaded(registry, target, bytes)
    }
  })

  it.for(framings)('can be gone on with when its server ends (a body $framing)', async ({ header, body }) => {
    const other = await registry.beside({})
    const location = await startUpload(other)
    const socket = await open(other.port, head(`PATCH ${location}`, header(bytes.length)))
    const answer = answerTo(socket)
    socket.write(body(bytes).subarray(0, 3 * MiB))
    await until('it is stored', async () => (await sizeOf(registry, location)) > 2_900_000)
    await other[Symbol.asyncDispose]()
    expect(await answer).toBe('')
    await expectUploaded(registry, await resume(registry, location, bytes), bytes)
  })
})

describeUnless(await needsSyscalls(), 'a client that is slow', () => {
  it.for(framings)('is cut off with 408, and may go on (a body $framing)', async ({ header, body }) => {
    await using hasty = await registry.beside({ pace: { idleMs: 150 } })
    const bytes = randomBytes('slow', 2 * MiB)
    for (const drips of [false, true]) {
      const location = await startUpload(hasty)
      const socket = await open(hasty.port, head(`PATCH ${location}`, header(bytes.length)))
      const answer = answerTo(socket)
      const framed = body(bytes)
      let sent = 50
      socket.write(framed.subarray(0, sent))
      const drip = setInterval(
        () => drips && socket.writable && socket.write(framed.subarray(sent, ++sent)),
        10,
      )
      expect(await answer).toMatch(/^HTTP\/1\.1 408 .*\r\nConnection: close\r\n/s)
      clearInterval(drip)
      expect(await sizeOf(registry, location)).toBeGreaterThan(40)
      await expectUploaded(registry, await resume(registry, location, bytes), bytes)
    }
    expect(registry.taken).toHaveLength(2)
  })

  it('is left alone by the bounds on heads and on idle connections', async () => {
    await using strict = await registry.beside({ limits: { headersMs: 100, keepAliveMs: 100 } })
    const bytes = randomBytes('patient', 2 * MiB)
    for (const { header, body } of framings) {
      const location = await startUpload(strict)
      const socket = await open(strict.port, head('GET /v2/'))
      await once(socket, 'data')
      const answer = answerTo(socket)
      const framed = body(bytes)
      socket.write(bytesOf(head(`PATCH ${location}`, header(bytes.length)), framed.subarray(0, MiB)))
      await until('it is stored', async () => (await sizeOf(registry, location)) > 900_000)
      const silent = Promise.withResolvers<void>()
      setTimeout(silent.resolve, 500)
      await silent.promise
      socket.write(framed.subarray(MiB))
      expect(await answer).toMatch(/HTTP\/1\.1 202 /)
      await expectUploaded(registry, location, bytes)
    }
    expect(registry.taken).toHaveLength(2)
  })
})
