import { once } from 'node:events'
import type { NetConnectOpts, Socket } from 'node:net'
import { join } from 'node:path'
import { setImmediate as afterOthers } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { chunked } from '../helpers/chunked.ts'
import { converse, parseAnswers } from '../helpers/converse.ts'
import { digest, randomBytes } from '../helpers/images.ts'
import { describeUnless, needsSyscalls } from '../helpers/obstacles.ts'
import {
  answerTo,
  bytesOf,
  expectBlob,
  expectUploaded,
  finishing,
  framings,
  head,
  inChunks,
  inOne,
  receivingForAll,
  startUpload,
  statuses,
} from '../helpers/receiving.ts'
import { ask, closed, codeOf, open, raw } from '../helpers/requests.ts'
import { until } from '../helpers/until.ts'

const KiB = 1024
const MiB = 1024 * 1024
const BLOCK = 64 * KiB

const registry = await receivingForAll()
const { port } = registry

async function send(socket: Socket, ...parts: readonly (string | Buffer)[]): Promise<void> {
  for (const part of parts) {
    await new Promise(resolve => socket.write(bytesOf(part), resolve))
    // The server, in this very process, reads it before the next is written.
    await afterOthers()
    await afterOthers()
  }
}

const connection = (location: string, ...headers: readonly string[]) =>
  open(port, head(`PATCH ${location}`, ...headers))

describeUnless(await needsSyscalls(), 'the body of an upload', () => {
  it.for([
    [1, 100_000],
    [7, 300_000],
    [1000, MiB],
    [32 * KiB, 3 * MiB],
    [BLOCK, 3 * MiB],
    [MiB, 5 * MiB],
    [10 * MiB, 21 * MiB],
  ] as const)('is stored as it is in chunks of %i bytes', async ([chunkBytes, size]) => {
    const bytes = randomBytes(`chunks of ${chunkBytes}`, size)
    const framed = chunked(bytes, chunkBytes)
    for (const first of [0, 1, 5, 1000, 40_000]) {
      const location = await startUpload(registry)
      const start = head(`PATCH ${location}`, inChunks)
      const [answer, ...more] = await converse(
        port,
        bytesOf(start, framed.subarray(0, first)),
        framed.subarray(first),
      )
      expect([answer?.status, answer?.headers.connection, more.length]).toEqual([202, 'close', 0])
      expect(answer?.headers.range).toBe(`0-${size - 1}`)
      await expectUploaded(registry, answer?.headers.location ?? '', bytes)
    }
    expect(registry.taken).toHaveLength(5)
  })

  it.for(framings)('$framing is stored whatever packets its head comes in', async ({ header, body }) => {
    const bytes = randomBytes('packets', MiB)
    const all = [5, 30, 60, 100, 200]
    for (const [index, cut] of all.entries()) {
      const location = await startUpload(registry)
      const lines = [header(bytes.length), 'Connection: close']
      const request = bytesOf(head(`PATCH ${location}`, ...lines), body(bytes))
      const socket = await open(port, '')
      const answer = answerTo(socket)
      const cuts = index % 2 ? [cut] : all
      await send(socket, ...[0, ...cuts].map((from, at) => request.subarray(from, cuts[at])))
      expect(await answer).toMatch(/^HTTP\/1\.1 202 /)
      await expectUploaded(registry, location, bytes)
    }
  })

  it('is stored as it is wherever in its framing what Node reads at once ends', async () => {
    const bytes = randomBytes('border', 3 * 32 * KiB)
    const frame = '\r\n8000\r\n'
    for (let within = -1; within <= frame.length + 1; within++) {
      const location = await startUpload(registry)
      const start = head(`PATCH ${location}`, inChunks)
      const firstBytes = BLOCK - start.length - 'ffff\r\n'.length - within
      const first = bytes.subarray(0, firstBytes)
      const rest = chunked(bytes.subarray(firstBytes, firstBytes + 32 * KiB), 32 * KiB)
      const size = firstBytes.toString(16)
      const answers = await converse(port, bytesOf(start, `${size}\r\n`, first, '\r\n', rest))
      expect(statuses(answers)).toEqual([202])
      await expectUploaded(registry, location, bytes.subarray(0, firstBytes + 32 * KiB))
    }
    expect(registry.taken).toHaveLength(frame.length + 3)
  })

  it('may have trailers', async () => {
    const bytes = randomBytes('trailers', 2 * MiB)
    const location = await startUpload(registry)
    const framed = chunked(bytes, 32 * KiB).subarray(0, -2)
    const trailers = `X: y\r\nContent-Length: 7\r\n\r\n`
    const answers = await converse(port, head(`PATCH ${location}`, inChunks), framed, trailers)
    expect(statuses(answers)).toEqual([202])
    await expectUploaded(registry, location, bytes)
    expect(registry.taken).toHaveLength(1)
  })

  it.for(framings)('$framing that waits for leave gets it, and is stored', async ({ header, body }) => {
    const bytes = randomBytes('leave', 2 * MiB)
    const location = await startUpload(registry)
    const socket = await connection(location, header(bytes.length), 'Expect: 100-continue')
    const [leave] = (await once(socket, 'data')) as [Buffer]
    expect(String(leave)).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    const answer = answerTo(socket)
    socket.write(body(bytes))
    expect(await answer).toMatch(/^HTTP\/1\.1 202 /)
    await expectUploaded(registry, location, bytes)
    expect(registry.taken).toHaveLength(1)
  })

  it.for(framings)('$framing that is sent without waiting for leave is stored', async ({ header, body }) => {
    const bytes = randomBytes('impatient', 2 * MiB)
    const location = await startUpload(registry)
    const start = head(`PATCH ${location}`, header(bytes.length), 'Expect: 100-continue')
    const answers = await converse(port, bytesOf(start, body(bytes)))
    expect(statuses(answers)).toEqual([100, 202])
    await expectUploaded(registry, location, bytes)
    expect(registry.taken).toHaveLength(1)
  })

  it.for(framings)('$framing in a PUT is verified', async ({ header, body }) => {
    const bytes = randomBytes(`put ${header(1)}`, 2 * MiB)
    for (const of of [digest(bytes), digest(Buffer.from('other'))]) {
      const location = await startUpload(registry)
      const start = head(`PUT ${finishing(location, of)}`, header(bytes.length))
      const [answer] = await converse(port, bytesOf(start, body(bytes)))
      if (of === digest(bytes)) {
        expect(answer?.status).toBe(201)
        await expectBlob(registry, bytes)
      } else {
        expect([answer?.status, answer && codeOf(answer)]).toEqual([400, 'DIGEST_INVALID'])
        expect((await ask(port, { target: location })).status).toBe(404)
        expect((await ask(port, { target: `/v2/a/blobs/${of}` })).status).toBe(404)
      }
    }
    expect(registry.taken).toHaveLength(2)
  })

  it('is verified by the digest that its client names, whichever that is', async () => {
    const bytes = randomBytes('sha512', 2 * MiB)
    const of = digest(bytes, 'sha512')
    const patched = await startUpload(registry)
    await converse(port, bytesOf(head(`PATCH ${patched}`, inChunks), chunked(bytes, 32 * KiB)))
    expect((await ask(port, { method: 'PUT', target: finishing(patched, of), body: '' })).status).toBe(201)
    const start = head(`POST /v2/a/blobs/uploads/?digest=${of}`, inOne(bytes.length))
    expect(statuses(await converse(port, bytesOf(start, bytes)))).toEqual([201])
    expect((await ask(port, { target: `/v2/a/blobs/${of}` })).body.equals(bytes)).toBe(true)
    expect(registry.taken).toHaveLength(2)
  })

  it.for([
    'Connection: Upgrade, close\r\nUpgrade: h2c',
    'Connection: keep-alive',
    'Connection: close',
    'Trailer: X',
    'TE: trailers',
    'transfer-encoding:\tChunked',
  ])('is stored whatever else its head says: %j', async line => {
    const bytes = randomBytes(line, MiB)
    const location = await startUpload(registry)
    const start = head(`PATCH ${location}`, ...(line.includes('hunked') ? [] : [inChunks]), line)
    expect(statuses(await converse(port, start, chunked(bytes, 32 * KiB)))).toEqual([202])
    await expectUploaded(registry, location, bytes)
    expect(registry.taken).toHaveLength(1)
  })

  it('is stored when it comes by HTTP/1.0', async () => {
    const bytes = randomBytes('http/1.0', 2 * MiB)
    const location = await startUpload(registry)
    const start = `PATCH ${location} HTTP/1.0\r\n${inOne(bytes.length)}\r\n\r\n`
    expect(statuses(await converse(port, start, bytes))).toEqual([202])
    await expectUploaded(registry, location, bytes)
    expect(registry.taken).toHaveLength(1)
  })

  it.for(framings)('$framing is stored behind other requests of its connection', async ({ header, body }) => {
    const bytes = randomBytes(`kept ${header(1)}`, 2 * MiB)
    for (const isPipelined of [false, true]) {
      const [location, small] = [await startUpload(registry), await startUpload(registry)]
      const before = [head('GET /v2/'), bytesOf(head(`PATCH ${small}`, inOne(3)), 'abc'), head('GET /v2/')]
      const socket = await open(port, '')
      const received: Buffer[] = []
      socket.on('data', (chunk: Buffer) => received.push(chunk))
      const answers = () => parseAnswers(Buffer.concat(received))
      for (const [at, request] of before.entries()) {
        socket.write(request)
        if (!isPipelined) await until('it is answered', () => answers().length > at)
      }
      const last = head(`PATCH ${location}`, header(bytes.length), 'Connection: close')
      socket.write(bytesOf(last, body(bytes)))
      await closed(socket)
      expect(statuses(answers())).toEqual([200, 202, 200, 202])
      await expectUploaded(registry, location, bytes)
      if (!isPipelined) expect(registry.taken).toHaveLength(1)
    }
  })

  it('keeps its connection when it is small', async () => {
    const location = await startUpload(registry)
    const chunks = bytesOf(head(`PATCH ${location}`, inChunks), chunked(Buffer.from('abc'), 2))
    const counted = bytesOf(head(`PATCH ${location}`, inOne(3)), 'def')
    const last = bytesOf(head(`PATCH ${location}`, 'Connection: close', inOne(3)), 'ghi')
    expect(statuses(await converse(port, chunks, counted, last))).toEqual([202, 202, 202])
    await expectUploaded(registry, location, Buffer.from('abcdefghi'))
    expect(registry.taken).toHaveLength(0)
  })

  it('of another request that is in chunks is read as ever', async () => {
    const target = '/v2/a/manifests/t'
    const body = chunked(Buffer.from('{'.padEnd(200_000, ' ')), 1000)
    for (const first of [0, 10, 40_000]) {
      const start = head(`PUT ${target}`, inChunks)
      const [answer] = await converse(
        port,
        bytesOf(start, body.subarray(0, first)),
        body.subarray(first),
        head('GET /v2/', 'Connection: close'),
      )
      expect([answer?.status, answer && codeOf(answer)]).toEqual([400, 'MANIFEST_INVALID'])
    }
    expect(registry.taken).toHaveLength(0)
  })

  it('that goes on with an upload is stored behind what that holds', async () => {
    const bytes = randomBytes('behind', 3 * MiB)
    let location = await startUpload(registry)
    for (const [at, { header, body }] of framings.entries()) {
      const part = bytes.subarray(at * MiB, at * MiB + MiB)
      const patch = bytesOf(head(`PATCH ${location}`, header(MiB)), body(part))
      const [answer] = await converse(port, patch, head('GET /v2/', 'Connection: close'))
      expect(answer?.status).toBe(202)
      location = answer?.headers.location ?? ''
    }
    const of = digest(bytes)
    const put = bytesOf(head(`PUT ${finishing(location, of)}`, inChunks, 'Connection: close'))
    const rest = chunked(bytes.subarray(2 * MiB), 32 * KiB)
    expect(statuses(await converse(port, put, rest))).toEqual([201])
    await expectBlob(registry, bytes)
  })

  it('is stored over a unix socket', async () => {
    const path = join(registry.folder, 'slipway.sock')
    await using local = await registry.beside({ listen: `unix:${path}` })
    expect(local.address).toBe(`unix:${path}`)
    const to: NetConnectOpts = { path }
    for (const { header, body } of framings) {
      const bytes = randomBytes(`unix ${header(1)}`, 2 * MiB)
      const begun = await converse(to, raw({ method: 'POST', target: '/v2/a/blobs/uploads/', body: '' }))
      const location = begun[0]?.headers.location ?? ''
      const answers = await converse(to, head(`PATCH ${location}`, header(bytes.length)), body(bytes))
      expect(statuses(answers)).toEqual([202])
      await expectUploaded(registry, location, bytes)
    }
    expect(registry.taken).toHaveLength(2)
  })
})
