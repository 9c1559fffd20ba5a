import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { afterAll, describe, expect, it } from 'vitest'
import { converse } from '../helpers/converse.ts'
import { startRegistry } from '../helpers/registry.ts'
import { ask, closed, open } from '../helpers/requests.ts'
import { ambiguous, type Payload, tolerated, unwanted } from './raw-smuggling-corpus.ts'

const registry = await startRegistry({ limits: { headersMs: 500 } })
afterAll(() => registry[Symbol.asyncDispose]())

/** Follows every payload, and ends the connection if it is answered at all. */
const last = 'GET /healthz HTTP/1.1\r\nHost: test\r\nX-Request-Id: last\r\nConnection: close\r\n\r\n'

const ids = (answers: Awaited<ReturnType<typeof converse>>) =>
  answers.map(({ headers }) => headers['x-request-id'])

describe('a request that two programs could read differently', () => {
  it.for(ambiguous)('is refused with 400 and ends the connection: $what', async ({ bytes }: Payload) => {
    const answers = await converse(registry.port, bytes + last)
    expect(answers.map(({ status }) => status)).toEqual([400])
    expect(answers[0]?.headers.connection).toBe('close')
  })
})

describe('a request that is odd and means one thing', () => {
  it.for(tolerated)('is answered once: $what', async ({ bytes, status }) => {
    const answers = await converse(registry.port, bytes + last)
    expect(answers.map(answer => answer.status)).toEqual([status, 200])
    expect(ids(answers)).toEqual(['first', 'last'])
  })
})

describe('a body that nobody reads', () => {
  it.for(unwanted)('ends the connection behind the answer: $what', async ({ bytes, status }) => {
    const answers = await converse(registry.port, bytes + last)
    expect(answers.map(answer => answer.status)).toEqual([status])
    expect(answers[0]?.headers.connection).toBe('close')
  })
})

it('never answers a request that came inside another', () => {
  const answered = registry.observations.flatMap(each => (each.event === 'request' ? [each.id] : []))
  expect(answered).toContain('last')
  expect(answered).not.toContain('smuggled')
})

it('answers nothing to HTTP/0.9 but a refusal', async () => {
  const answers = await converse(registry.port, 'GET /healthz\r\n\r\n')
  expect(answers.map(({ status }) => status)).toEqual([400])
})

it('answers requests of one connection in their order, and none after a malformed one', async () => {
  const get = (id: string) => `GET /v2/ HTTP/1.1\r\nHost: test\r\nX-Request-Id: ${id}\r\n\r\n`
  const many = Array.from({ length: 50 }, (_, at) => String(at))
  const answers = await converse(registry.port, many.map(get).join('') + last)
  expect(ids(answers)).toEqual([...many, 'last'])
  const broken = await converse(registry.port, get('before'), `GET / HTTP/1.1\r\nHost : test\r\n\r\n${last}`)
  expect(broken.at(-1)?.status).toBe(400)
  expect(ids(broken)).not.toContain('last')
})

it('writes no refusal into an answer that is under way', async () => {
  const bytes = Buffer.alloc(16 * 1024 * 1024, 'x')
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  const target = `/v2/a/blobs/uploads/?digest=${digest}`
  expect((await ask(registry.port, { method: 'POST', target, body: bytes })).status).toBe(201)
  const socket = await open(registry.port, `GET /v2/a/blobs/${digest} HTTP/1.1\r\nHost: test\r\n\r\n`)
  await once(socket, 'readable')
  socket.write('garbage\r\n\r\n')
  const received: Buffer[] = []
  socket.on('data', (chunk: Buffer) => received.push(chunk))
  await closed(socket)
  expect(Buffer.concat(received).includes('HTTP/1.1 400')).toBe(false)
})
