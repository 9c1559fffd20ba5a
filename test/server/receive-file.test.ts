import { once } from 'node:events'
import { mkdtempDisposable } from 'node:fs/promises'
import type { NetConnectOpts, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as afterOthers } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type FileReceiver, fileReceiver } from '../../kernel/receiver.ts'
import { loadSyscalls } from '../../kernel/syscalls.ts'
import type { Digest } from '../../oci/names.ts'
import { openFolder } from '../../storage/open.ts'
import { chunked } from '../helpers/chunked.ts'
import { converse, parseAnswers, type RawAnswer } from '../helpers/converse.ts'
import { digest, randomBytes } from '../helpers/images.ts'
import { type RegistryOverrides, startRegistry } from '../helpers/registry.ts'
import { ask, closed, codeOf, open, raw } from '../helpers/requests.ts'
import { until } from '../helpers/until.ts'

const KiB = 1024
const MiB = 1024 * 1024
const BLOCK = 64 * KiB

const availability = await loadSyscalls()
const folder = await mkdtempDisposable(join(tmpdir(), 'slipway-test-'))
const { store, close } = await openFolder(join(folder.path, 'data'), 'server', { durability: 'relaxed' })
const kernel = fileReceiver(() => {})
let taken = 0
/** Counts the bodies that are taken away from Node. */
const receiver: FileReceiver = {
  ...kernel,
  receive(...args) {
    taken++
    return kernel.receive(...args)
  },
}

const start = (overrides: RegistryOverrides = {}) =>
  // It is closed with the folder.
  startRegistry({ store: { ...store, close: async () => {} }, receiver, ...overrides })

let registry: Awaited<ReturnType<typeof start>>
beforeAll(async () => {
  registry = await start()
})
beforeEach(() => {
  taken = 0
})
afterAll(async () => {
  await registry[Symbol.asyncDispose]()
  await kernel.close()
  await close()
  await folder[Symbol.asyncDispose]()
})

/** The address of a new upload. */
async function startUpload(port = registry.port): Promise<string> {
  const { headers } = await ask(port, { method: 'POST', target: '/v2/a/blobs/uploads/', body: '' })
  return headers.location ?? ''
}

const head = (line: string, ...headers: readonly string[]) =>
  `${[`${line} HTTP/1.1`, 'Host: test', ...headers].join('\r\n')}\r\n\r\n`

const inChunks = 'Transfer-Encoding: chunked'
const inOne = (length: number) => `Content-Length: ${length}`
const framings = [
  { framing: 'of a given length', header: inOne, body: (bytes: Buffer) => bytes },
  { framing: 'in chunks', header: () => inChunks, body: (bytes: Buffer) => chunked(bytes, 32 * KiB) },
] as const

const bytesOf = (...parts: readonly (string | Buffer)[]) =>
  Buffer.concat(parts.map(part => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)))

async function sizeOf(location: string, port = registry.port): Promise<number> {
  const { headers } = await ask(port, { target: location })
  const last = Number(/^0-(\d+)$/.exec(headers.range ?? '')?.[1])
  return last === 0 ? 0 : last + 1
}

const finishing = (location: string, of: Digest) => `${location}?digest=${of}`

/** That an upload holds exactly these bytes: its digest is verified, and what is then stored compared. */
async function expectUploaded(location: string, bytes: Buffer): Promise<void> {
  const of = digest(bytes)
  const put = { method: 'PUT', target: finishing(location, of), body: '' }
  expect((await ask(registry.port, put)).status).toBe(201)
  await expectBlob(bytes)
}

async function expectBlob(bytes: Buffer): Promise<void> {
  const { status, body } = await ask(registry.port, { target: `/v2/a/blobs/${digest(bytes)}` })
  expect(status).toBe(200)
  expect(body.equals(bytes)).toBe(true)
}

/** Sends what is missing of an upload as clients do that go on with one. */
async function resume(location: string, bytes: Buffer): Promise<string> {
  const size = await sizeOf(location)
  const headers = [`Content-Range: ${size}-${bytes.length - 1}`]
  const answer = await ask(registry.port, {
    method: 'PATCH',
    target: location,
    headers,
    body: bytes.subarray(size),
  })
  expect(answer.status).toBe(202)
  return answer.headers.location ?? ''
}

const statuses = (answers: readonly RawAnswer[]) => answers.map(({ status }) => status)

/** The requests that were handled, by the id that they gave themselves. */
const handled = () => registry.observations.flatMap(each => (each.event === 'request' ? [each.id] : []))

async function send(socket: Socket, ...parts: readonly (string | Buffer)[]): Promise<void> {
  for (const part of parts) {
    await new Promise(resolve => socket.write(bytesOf(part), resolve))
    // The server, in this very process, reads it before the next is written.
    await afterOthers()
    await afterOthers()
  }
}

const connection = (location: string, ...headers: readonly string[]) =>
  open(registry.port, head(`PATCH ${location}`, ...headers))

async function answerOn(socket: Socket): Promise<string> {
  const received: Buffer[] = []
  socket.on('data', (chunk: Buffer) => received.push(chunk))
  await closed(socket)
  return Buffer.concat(received).toString('latin1')
}

describe.skipIf('missing' in availability)('the body of an upload', () => {
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
      const location = await startUpload()
      const start = head(`PATCH ${location}`, inChunks)
      const [answer, ...more] = await converse(
        registry.port,
        bytesOf(start, framed.subarray(0, first)),
        framed.subarray(first),
      )
      expect([answer?.status, answer?.headers.connection, more.length]).toEqual([202, 'close', 0])
      expect(answer?.headers.range).toBe(`0-${size - 1}`)
      await expectUploaded(answer?.headers.location ?? '', bytes)
    }
    expect(taken).toBe(5)
  })

  it.for(framings)('$framing is stored whatever packets its head comes in', async ({ header, body }) => {
    const bytes = randomBytes('packets', MiB)
    const all = [5, 30, 60, 100, 200]
    for (const [index, cut] of all.entries()) {
      const location = await startUpload()
      const lines = [header(bytes.length), 'Connection: close']
      const request = bytesOf(head(`PATCH ${location}`, ...lines), body(bytes))
      const socket = await open(registry.port, '')
      const answer = answerOn(socket)
      const cuts = index % 2 ? [cut] : all
      await send(socket, ...[0, ...cuts].map((from, at) => request.subarray(from, cuts[at])))
      expect(await answer).toMatch(/^HTTP\/1\.1 202 /)
      await expectUploaded(location, bytes)
    }
  })

  it('is stored as it is wherever in its framing what Node reads at once ends', async () => {
    const bytes = randomBytes('border', 3 * 32 * KiB)
    const frame = '\r\n8000\r\n'
    for (let within = -1; within <= frame.length + 1; within++) {
      const location = await startUpload()
      const start = head(`PATCH ${location}`, inChunks)
      const firstBytes = BLOCK - start.length - 'ffff\r\n'.length - within
      const first = bytes.subarray(0, firstBytes)
      const rest = chunked(bytes.subarray(firstBytes, firstBytes + 32 * KiB), 32 * KiB)
      const size = firstBytes.toString(16)
      const answers = await converse(registry.port, bytesOf(start, `${size}\r\n`, first, '\r\n', rest))
      expect(statuses(answers)).toEqual([202])
      await expectUploaded(location, bytes.subarray(0, firstBytes + 32 * KiB))
    }
    expect(taken).toBe(frame.length + 3)
  })

  it('may have trailers', async () => {
    const bytes = randomBytes('trailers', 2 * MiB)
    const location = await startUpload()
    const framed = chunked(bytes, 32 * KiB).subarray(0, -2)
    const trailers = `X: y\r\nContent-Length: 7\r\n\r\n`
    const answers = await converse(registry.port, head(`PATCH ${location}`, inChunks), framed, trailers)
    expect(statuses(answers)).toEqual([202])
    await expectUploaded(location, bytes)
    expect(taken).toBe(1)
  })

  it.for(framings)('$framing that waits for leave gets it, and is stored', async ({ header, body }) => {
    const bytes = randomBytes('leave', 2 * MiB)
    const location = await startUpload()
    const socket = await connection(location, header(bytes.length), 'Expect: 100-continue')
    const [leave] = (await once(socket, 'data')) as [Buffer]
    expect(String(leave)).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    const answer = answerOn(socket)
    socket.write(body(bytes))
    expect(await answer).toMatch(/^HTTP\/1\.1 202 /)
    await expectUploaded(location, bytes)
    expect(taken).toBe(1)
  })

  it.for(framings)('$framing that is sent without waiting for leave is stored', async ({ header, body }) => {
    const bytes = randomBytes('impatient', 2 * MiB)
    const location = await startUpload()
    const start = head(`PATCH ${location}`, header(bytes.length), 'Expect: 100-continue')
    const answers = await converse(registry.port, bytesOf(start, body(bytes)))
    expect(statuses(answers)).toEqual([100, 202])
    await expectUploaded(location, bytes)
    expect(taken).toBe(1)
  })

  it.for(framings)('$framing in a PUT is verified', async ({ header, body }) => {
    const bytes = randomBytes(`put ${header(1)}`, 2 * MiB)
    for (const of of [digest(bytes), digest(Buffer.from('other'))]) {
      const location = await startUpload()
      const start = head(`PUT ${finishing(location, of)}`, header(bytes.length))
      const [answer] = await converse(registry.port, bytesOf(start, body(bytes)))
      if (of === digest(bytes)) {
        expect(answer?.status).toBe(201)
        await expectBlob(bytes)
      } else {
        expect([answer?.status, answer && codeOf(answer)]).toEqual([400, 'DIGEST_INVALID'])
        expect(await sizeOf(location)).toBe(0)
        expect((await ask(registry.port, { target: `/v2/a/blobs/${of}` })).status).toBe(404)
      }
    }
    expect(taken).toBe(2)
  })

  it('is verified by the digest that its client names, whichever that is', async () => {
    const bytes = randomBytes('sha512', 2 * MiB)
    const of = digest(bytes, 'sha512')
    const patched = await startUpload()
    await converse(registry.port, bytesOf(head(`PATCH ${patched}`, inChunks), chunked(bytes, 32 * KiB)))
    expect(
      (await ask(registry.port, { method: 'PUT', target: finishing(patched, of), body: '' })).status,
    ).toBe(201)
    const start = head(`POST /v2/a/blobs/uploads/?digest=${of}`, inOne(bytes.length))
    expect(statuses(await converse(registry.port, bytesOf(start, bytes)))).toEqual([201])
    expect((await ask(registry.port, { target: `/v2/a/blobs/${of}` })).body.equals(bytes)).toBe(true)
    expect(taken).toBe(2)
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
    const location = await startUpload()
    const start = head(`PATCH ${location}`, ...(line.includes('hunked') ? [] : [inChunks]), line)
    expect(statuses(await converse(registry.port, start, chunked(bytes, 32 * KiB)))).toEqual([202])
    await expectUploaded(location, bytes)
    expect(taken).toBe(1)
  })

  it('is stored when it comes by HTTP/1.0', async () => {
    const bytes = randomBytes('http/1.0', 2 * MiB)
    const location = await startUpload()
    const start = `PATCH ${location} HTTP/1.0\r\n${inOne(bytes.length)}\r\n\r\n`
    expect(statuses(await converse(registry.port, start, bytes))).toEqual([202])
    await expectUploaded(location, bytes)
    expect(taken).toBe(1)
  })

  it.for(framings)('$framing is stored behind other requests of its connection', async ({ header, body }) => {
    const bytes = randomBytes(`kept ${header(1)}`, 2 * MiB)
    for (const isPipelined of [false, true]) {
      const [location, small] = [await startUpload(), await startUpload()]
      const before = [head('GET /v2/'), bytesOf(head(`PATCH ${small}`, inOne(3)), 'abc'), head('GET /v2/')]
      const socket = await open(registry.port, '')
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
      await expectUploaded(location, bytes)
      if (!isPipelined) expect(taken).toBe(1)
    }
  })

  it('keeps its connection when it is small', async () => {
    const location = await startUpload()
    const chunks = bytesOf(head(`PATCH ${location}`, inChunks), chunked(Buffer.from('abc'), 2))
    const counted = bytesOf(head(`PATCH ${location}`, inOne(3)), 'def')
    const last = bytesOf(head(`PATCH ${location}`, 'Connection: close', inOne(3)), 'ghi')
    expect(statuses(await converse(registry.port, chunks, counted, last))).toEqual([202, 202, 202])
    await expectUploaded(location, Buffer.from('abcdefghi'))
    expect(taken).toBe(0)
  })

  it('of another request that is in chunks is read as ever', async () => {
    const target = '/v2/a/manifests/t'
    const body = chunked(Buffer.from('{'.padEnd(200_000, ' ')), 1000)
    for (const first of [0, 10, 40_000]) {
      const start = head(`PUT ${target}`, inChunks)
      const [answer] = await converse(
        registry.port,
        bytesOf(start, body.subarray(0, first)),
        body.subarray(first),
        head('GET /v2/', 'Connection: close'),
      )
      expect([answer?.status, answer && codeOf(answer)]).toEqual([400, 'MANIFEST_INVALID'])
    }
    expect(taken).toBe(0)
  })

  it('that goes on with an upload is stored behind what that holds', async () => {
    const bytes = randomBytes('behind', 3 * MiB)
    const location = await startUpload()
    for (const [at, { header, body }] of framings.entries()) {
      const part = bytes.subarray(at * MiB, at * MiB + MiB)
      const patch = bytesOf(head(`PATCH ${location}`, header(MiB)), body(part))
      const answers = await converse(registry.port, patch, head('GET /v2/', 'Connection: close'))
      expect(answers[0]?.status).toBe(202)
    }
    const of = digest(bytes)
    const put = bytesOf(head(`PUT ${finishing(location, of)}`, inChunks, 'Connection: close'))
    const rest = chunked(bytes.subarray(2 * MiB), 32 * KiB)
    expect(statuses(await converse(registry.port, put, rest))).toEqual([201])
    await expectBlob(bytes)
  })

  it('is stored over a unix socket', async () => {
    const path = join(folder.path, 'slipway.sock')
    await using local = await start({ listen: `unix:${path}` })
    expect(local.address).toBe(`unix:${path}`)
    const to: NetConnectOpts = { path }
    for (const { header, body } of framings) {
      const bytes = randomBytes(`unix ${header(1)}`, 2 * MiB)
      const begun = await converse(to, raw({ method: 'POST', target: '/v2/a/blobs/uploads/', body: '' }))
      const location = begun[0]?.headers.location ?? ''
      const answers = await converse(to, head(`PATCH ${location}`, header(bytes.length)), body(bytes))
      expect(statuses(answers)).toEqual([202])
      await expectUploaded(location, bytes)
    }
    expect(taken).toBe(2)
  })
})

const smuggled = head('GET /healthz', 'X-Request-Id: smuggled')

describe.skipIf('missing' in availability)('what is sent behind or inside a large body', () => {
  it.for(framings)('is never answered when it is behind one $framing', async ({ header, body }) => {
    const bytes = randomBytes('behind', 2 * MiB)
    for (const parts of [1, 2, 3]) {
      const location = await startUpload()
      const start = head(`PATCH ${location}`, header(bytes.length))
      const request = bytesOf(start, body(bytes), parts === 3 ? '' : smuggled)
      const cut = parts === 1 ? 0 : start.length + BLOCK
      const behind = parts === 3 ? smuggled : ''
      const answers = await converse(registry.port, request.subarray(0, cut), request.subarray(cut), behind)
      expect(statuses(answers)).toEqual([202])
      await expectUploaded(location, bytes)
    }
    expect(handled()).not.toContain('smuggled')
  })

  it.for(framings)('is content when it is inside one $framing', async ({ header, body }) => {
    const filler = randomBytes('filler', 2 * MiB)
    for (const at of [0, 1, BLOCK - 200, BLOCK, MiB]) {
      const location = await startUpload()
      const patch = head(`PATCH ${location}`, header(1), 'X-Request-Id: smuggled')
      const bytes = bytesOf(
        filler.subarray(0, at),
        '0\r\n\r\n',
        smuggled,
        patch,
        '5\r\nabcde\r\n0\r\n\r\n',
        filler.subarray(at),
      )
      const start = head(`PATCH ${location}`, header(bytes.length))
      expect(statuses(await converse(registry.port, bytesOf(start, body(bytes))))).toEqual([202])
      await expectUploaded(location, bytes)
    }
    expect(handled()).not.toContain('smuggled')
  })

  it.for(framings)('is never answered when one $framing is refused', async ({ header, body }) => {
    const bytes = randomBytes('refused', 2 * MiB)
    const target = '/v2/a/blobs/uploads/nothing'
    for (const first of [0, 100]) {
      const request = bytesOf(body(bytes), smuggled)
      const start = bytesOf(head(`PATCH ${target}`, header(bytes.length)), request.subarray(0, first))
      const [answer, ...more] = await converse(registry.port, start, request.subarray(first))
      expect([answer?.status, answer?.headers.connection, more.length]).toEqual([404, 'close', 0])
    }
    expect(handled()).not.toContain('smuggled')
  })

  it('is content when it is the head of that very request', async () => {
    for (const before of ['', head('GET /v2/'), head('GET /v2/').repeat(3)]) {
      const location = await startUpload()
      const own = head(`PATCH ${location}`, inChunks, 'Connection: close')
      const bytes = bytesOf(`${own}5\r\nabcde\r\n0\r\n\r\n`.repeat(20_000))
      const request = bytesOf(before, own, chunked(bytes, bytes.length))
      // What is read next may begin with it.
      const cut = request.indexOf(own, BLOCK)
      const answers = await converse(registry.port, request.subarray(0, cut), request.subarray(cut))
      expect(answers.at(-1)?.status).toBe(202)
      await expectUploaded(location, bytes)
    }
  })
})

describe.skipIf('missing' in availability)('an upload whose body is broken off', () => {
  const bytes = randomBytes('broken', 4 * MiB)

  it.for([
    ['a size that is not hex', 'x\r\n'],
    ['data without its end', '3\r\nabcd\r\n'],
    ['a request', smuggled],
    ['LF for CRLF', '3\nabc\r\n'],
  ] as const)('answers 400 to %s for a chunk, and can be gone on with', async ([, wrong]) => {
    const location = await startUpload()
    const good = chunked(bytes.subarray(0, 2 * MiB), 32 * KiB, 'open')
    const start = head(`PATCH ${location}`, inChunks)
    const [answer] = await converse(registry.port, bytesOf(start, good, wrong, chunked(bytes, BLOCK)))
    expect([answer?.status, answer?.headers.connection]).toEqual([400, 'close'])
    expect(await sizeOf(location)).toBeGreaterThan(MiB)
    expect(await sizeOf(location)).toBeLessThanOrEqual(2 * MiB)
    await expectUploaded(await resume(location, bytes), bytes)
    expect(handled()).not.toContain('smuggled')
    expect(taken).toBe(1)
  })

  it.for([
    { how: 'ends', leave: (socket: Socket) => socket.end() },
    { how: 'resets the connection', leave: (socket: Socket) => socket.resetAndDestroy() },
  ])('can be gone on with when its client $how', async ({ leave }) => {
    for (const { header, body } of framings) {
      const location = await startUpload()
      const socket = await connection(location, header(bytes.length))
      socket.write(body(bytes).subarray(0, 3 * MiB))
      await until('it is stored', async () => (await sizeOf(location)) > 2_900_000)
      const ended = answerOn(socket)
      leave(socket)
      expect(await ended).toBe('')
      await until('nobody writes to it', async () => {
        const { status } = await ask(registry.port, { method: 'PATCH', target: location, body: 'x' })
        return status === 202
      })
      const size = await sizeOf(location)
      expect(size).toBeLessThanOrEqual(3 * MiB + 1)
      const digestOfPart = digest(bytesOf(bytes.subarray(0, size - 1), 'x'))
      const put = { method: 'PUT', target: finishing(location, digestOfPart), body: '' }
      expect((await ask(registry.port, put)).status).toBe(201)
    }
    expect(taken).toBe(2)
  })

  it('publishes nothing of a PUT whose client leaves', async () => {
    for (const { header, body } of framings) {
      const location = await startUpload()
      const part = bytes.subarray(0, 3 * MiB)
      const socket = await open(
        registry.port,
        head(`PUT ${finishing(location, digest(part))}`, header(bytes.length)),
      )
      socket.write(body(bytes).subarray(0, body(part).length - 8))
      await until('it is stored', async () => (await sizeOf(location)) > 2_900_000)
      socket.end()
      await closed(socket)
      expect((await ask(registry.port, { target: `/v2/a/blobs/${digest(part)}` })).status).toBe(404)
      await expectUploaded(await resume(location, bytes), bytes)
    }
  })

  it.for(framings)('lets one client write (a body $framing), and tells another', async ({ header, body }) => {
    const location = await startUpload()
    const socket = await connection(location, header(bytes.length))
    const first = answerOn(socket)
    const framed = body(bytes)
    socket.write(framed.subarray(0, MiB))
    await until('it is being stored', async () => (await sizeOf(location)) > 900_000)
    for (const { header: otherHeader } of framings) {
      // Nothing is sent of what would follow: the answer comes while the client is still sending.
      const other = await connection(location, otherHeader(bytes.length))
      expect(await answerOn(other)).toMatch(/^HTTP\/1\.1 4\d\d .*\r\nConnection: close\r\n/s)
      const eager = bytesOf(
        head(`PATCH ${location}`, otherHeader(20 * MiB)),
        `${(20 * MiB).toString(16)}\r\n`,
      )
      const [answer] = await converse(registry.port, eager, Buffer.alloc(16 * MiB))
      expect(answer && codeOf(answer)).toBe('BLOB_UPLOAD_INVALID')
    }
    socket.write(framed.subarray(MiB))
    expect(await first).toMatch(/^HTTP\/1\.1 202 /)
    await expectUploaded(location, bytes)
    expect(taken).toBe(1)
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
        const socket = await open(registry.port, head(line, header(bytes.length)) + begun)
        expect(await answerOn(socket)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
      }
    }
    expect(taken).toBe(0)
  })
})

describe.skipIf('missing' in availability)('a client that is slow', () => {
  it.for(framings)('is cut off with 408, and may go on (a body $framing)', async ({ header, body }) => {
    await using hasty = await start({ pace: { idleMs: 150 } })
    const bytes = randomBytes('slow', 2 * MiB)
    for (const drips of [false, true]) {
      const location = await startUpload(hasty.port)
      const socket = await open(hasty.port, head(`PATCH ${location}`, header(bytes.length)))
      const answer = answerOn(socket)
      const framed = body(bytes)
      let sent = 50
      socket.write(framed.subarray(0, sent))
      const drip = setInterval(
        () => drips && socket.writable && socket.write(framed.subarray(sent, ++sent)),
        10,
      )
      expect(await answer).toMatch(/^HTTP\/1\.1 408 .*\r\nConnection: close\r\n/s)
      clearInterval(drip)
      expect(await sizeOf(location)).toBeGreaterThan(40)
      await expectUploaded(await resume(location, bytes), bytes)
    }
    expect(taken).toBe(2)
  })

  it('is left alone by the bounds on heads and on idle connections', async () => {
    await using strict = await start({ limits: { headersMs: 100, keepAliveMs: 100 } })
    const bytes = randomBytes('patient', 2 * MiB)
    for (const { header, body } of framings) {
      const location = await startUpload(strict.port)
      const socket = await open(strict.port, head('GET /v2/'))
      await once(socket, 'data')
      const answer = answerOn(socket)
      const framed = body(bytes)
      socket.write(bytesOf(head(`PATCH ${location}`, header(bytes.length)), framed.subarray(0, MiB)))
      await until('it is stored', async () => (await sizeOf(location)) > 900_000)
      const silent = Promise.withResolvers<void>()
      setTimeout(silent.resolve, 500)
      await silent.promise
      socket.write(framed.subarray(MiB))
      expect(await answer).toMatch(/HTTP\/1\.1 202 /)
      await expectUploaded(location, bytes)
    }
    expect(taken).toBe(2)
  })
})
