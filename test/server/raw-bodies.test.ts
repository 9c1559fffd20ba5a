import { afterAll, expect, it } from 'vitest'
import { converse } from '../helpers/converse.ts'
import { startRegistry } from '../helpers/registry.ts'
import { ask, closed, codeOf, open } from '../helpers/requests.ts'

const registry = await startRegistry({ pace: { smallBodyMs: 2000 } })
afterAll(() => registry[Symbol.asyncDispose]())

const MIB = 1024 * 1024
const put = 'PUT /v2/a/manifests/t HTTP/1.1\r\nHost: test\r\n'
const repositories = async () => (await ask(registry.port, { target: '/v2/_catalog' })).body.toString()

it('refuses a manifest by its Content-Length before it gives leave to send it', async () => {
  const [answer, ...more] = await converse(
    registry.port,
    `${put}Expect: 100-continue\r\nContent-Length: ${4 * MIB + 1}\r\n\r\n`,
  )
  expect(answer?.status).toBe(413)
  expect(answer?.headers.connection).toBe('close')
  expect(more).toEqual([])
})

it.for([
  ['a manifest for nobody', 'PUT /v2/UPPER/manifests/t'],
  ['a blob for nobody', 'PUT /v2/a/blobs/uploads/nothing?digest=sha256:0'],
  ['a chunk for no upload', 'PATCH /v2/a/blobs/uploads/nothing'],
] as const)('gives no leave to send %s', async ([, line]) => {
  const answers = await converse(
    registry.port,
    `${line} HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n`,
  )
  expect(answers).toHaveLength(1)
  expect(answers[0]?.status).toBeGreaterThanOrEqual(400)
})

it('gives leave to send a manifest that fits', async () => {
  const answers = await converse(
    registry.port,
    `${put}Connection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n`,
    '{}',
  )
  expect(answers.map(({ status }) => status)).toEqual([100, 400])
})

it('stops reading an endless manifest at the limit, in little memory', async () => {
  const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x10000, ' '), Buffer.from('\r\n')])
  const before = process.memoryUsage().arrayBuffers
  const answers = await converse(
    registry.port,
    `${put}Transfer-Encoding: chunked\r\n\r\n`,
    ...Array(1000).fill(chunk),
  )
  expect(answers.map(({ status }) => status)).toEqual([413])
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * MIB)
})

it.for([64 * 1024, MIB, 16 * MIB])(
  'lets a client that sends %i bytes too many see the refusal',
  async size => {
    const answers = await converse(
      registry.port,
      `${put}Content-Length: ${size + 4 * MIB}\r\n\r\n`,
      Buffer.alloc(size),
    )
    expect(answers.map(({ status }) => status)).toEqual([413])
    expect(answers.map(codeOf)).toEqual(['MANIFEST_INVALID'])
  },
)

it('reads a manifest of the largest size to its end', async () => {
  const body = Buffer.alloc(4 * MIB, ' ')
  const answer = await ask(registry.port, { method: 'PUT', target: '/v2/a/manifests/t', body })
  expect([answer.status, codeOf(answer)]).toEqual([400, 'MANIFEST_INVALID'])
})

it('stores nothing of a manifest that ends before its Content-Length', async () => {
  const socket = await open(registry.port, `${put}Content-Length: 100\r\n\r\n{}`)
  socket.end()
  await closed(socket)
  expect(await repositories()).toBe('{"repositories":[]}')
})

it('refuses what comes behind a body as the request that it is not', async () => {
  const answers = await converse(registry.port, `${put}Content-Length: 2\r\n\r\n{}garbage`)
  expect(answers.at(-1)?.status).toBe(400)
  expect(answers.at(-1)?.headers.connection).toBe('close')
  expect(answers.length).toBeLessThanOrEqual(2)
})

it('publishes nothing of a blob that ends before its Content-Length', async () => {
  const started = await ask(registry.port, { method: 'POST', target: '/v2/a/blobs/uploads/', body: '' })
  const digest = 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
  const socket = await open(
    registry.port,
    `PUT ${started.headers.location}?digest=${digest} HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nabc`,
  )
  socket.end()
  await closed(socket)
  expect((await ask(registry.port, { target: `/v2/a/blobs/${digest}` })).status).toBe(404)
})
