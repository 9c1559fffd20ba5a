import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { localRegistry } from '../../storage/local-registry.ts'
import { memoryStore } from '../../storage/memory.ts'
import { openFolder } from '../../storage/open.ts'
import { converse, parseAnswers } from '../helpers/converse.ts'
import { digest } from '../helpers/images.ts'
import { startRegistry } from '../helpers/registry.ts'
import { ask, closed, codeOf, open } from '../helpers/requests.ts'

async function begin(port: number, name = 'a'): Promise<string> {
  const answer = await ask(port, { method: 'POST', target: `/v2/${name}/blobs/uploads/`, body: '' })
  expect(answer.status).toBe(202)
  return answer.headers.location ?? ''
}

const append = (port: number, target: string, body: string, ...headers: string[]) =>
  ask(port, { method: 'PATCH', target, body, headers })

const finish = (port: number, location: string, digest: string, body = '', ...headers: string[]) =>
  ask(port, { method: 'PUT', target: `${location}?digest=${digest}`, body, headers })

const rangeOf = async (port: number, target: string) => (await ask(port, { target })).headers.range

const kinds = [
  { kind: 'memory', store: async () => ({ store: memoryStore(), end: async () => {} }) },
  {
    kind: 'a folder',
    store: async () => {
      const folder = await mkdtempDisposable(join(tmpdir(), 'slipway-test-'))
      const { store, close } = await openFolder(join(folder.path, 'data'), 'server', {
        durability: 'relaxed',
      })
      return { store: { ...store, close }, end: () => folder[Symbol.asyncDispose]() }
    },
  },
]

describe.for(kinds)('an upload to $kind', ({ store: make }) => {
  const started = async () => {
    const { store, end } = await make()
    const registry = await startRegistry({ store })
    const { port } = registry
    const dispose = async () => {
      await registry[Symbol.asyncDispose]()
      await end()
    }
    return { port, [Symbol.asyncDispose]: dispose }
  }

  it.for([
    ['-1-5', 400],
    ['5-1', 400],
    ['0--1', 400],
    ['0-99999999999999999999', 400],
    ['0-1e3', 400],
    ['0x0-0x1', 400],
    ['0-1,2-3', 400],
    ['bytes=0-1', 400],
    ['bytes', 400],
    ['*/2', 400],
    ['0-5', 400],
    ['0-0', 400],
    ['999999999999999-999999999999999', 400],
    ['0-1', 416],
    ['3-4', 416],
    ['5-6', 416],
    ['bytes 0-1/4', 416],
    ['999999999999998-999999999999999', 416],
    ['4-5', 202],
    ['bytes 4-5/*', 202],
  ] as const)('takes two bytes at %s with %i after four', async ([range, status]) => {
    await using registry = await started()
    const location = await begin(registry.port)
    const { headers } = await append(registry.port, location, 'abcd', 'Content-Range: 0-3')
    const answer = await append(registry.port, headers.location ?? '', 'ef', `Content-Range: ${range}`)
    expect(answer.status).toBe(status)
    if (status === 416) expect(answer.headers).toMatchObject({ range: '0-3' })
    if (status === 416) expect(answer.headers.location).toMatch(/^\/v2\/a\/blobs\/uploads\//)
    const all = status === 202 ? 'abcdef' : 'abcd'
    expect(await rangeOf(registry.port, location)).toBe(`0-${all.length - 1}`)
    expect((await finish(registry.port, location, digest(all))).status).toBe(201)
  })

  it('refuses a chunk out of order before it is sent', async () => {
    await using registry = await started()
    const location = await begin(registry.port)
    const head = `PATCH ${location} HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n`
    const answers = await converse(registry.port, `${head}Content-Range: 5-9\r\nContent-Length: 5\r\n\r\n`)
    expect(answers.map(({ status }) => status)).toEqual([416])
  })

  it('has one writer at a time, and loses nothing that was acknowledged', async () => {
    await using registry = await started()
    const location = await begin(registry.port)
    const first = await open(
      registry.port,
      `PATCH ${location} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n`,
    )
    const received: Buffer[] = []
    first.on('data', (chunk: Buffer) => received.push(chunk))
    // Whichever comes first has the place.
    const second = await append(registry.port, location, 'XY')
    if (second.status !== 202) expect([409, 416]).toContain(second.status)
    first.write('2\r\nef\r\n0\r\n\r\n')
    await closed(first)
    const [answer] = parseAnswers(Buffer.concat(received))
    const accepted = [second.status, answer?.status].filter(status => status === 202)
    expect(accepted).toHaveLength(1)
    const all = second.status === 202 ? 'XY' : 'abcdef'
    expect((await finish(registry.port, location, digest(all))).status).toBe(201)
  })

  it('takes exactly one of many chunks for the same place', async () => {
    await using registry = await started()
    const location = await begin(registry.port)
    const texts = Array.from({ length: 10 }, (_, at) => String(at).repeat(50_000))
    const answers = await Promise.all(
      texts.map(text => append(registry.port, location, text, `Content-Range: 0-${text.length - 1}`)),
    )
    const taken = texts.filter((_, at) => answers[at]?.status === 202)
    expect(taken).toHaveLength(1)
    for (const { status } of answers) expect([202, 409, 416]).toContain(status)
    expect((await finish(registry.port, location, digest(taken[0] ?? ''))).status).toBe(201)
  })

  it.for([3, 40_000])(
    'acknowledges the last request of an upload of %i bytes as often as it comes',
    async size => {
      await using registry = await started()
      const body = 'x'.repeat(size)
      const location = await begin(registry.port)
      const once = await finish(registry.port, location, digest(body), body)
      const again = await finish(registry.port, location, digest(body), body)
      expect([once.status, again.status]).toEqual([201, 201])
      expect(again.headers.location).toBe(once.headers.location)
      // Of what came whole and was small, nothing was kept under this address.
      expect((await append(registry.port, location, 'more')).status).toBe(size === 3 ? 202 : 404)
      expect((await finish(registry.port, location, digest('more'))).status).toBe(size === 3 ? 201 : 404)
    },
  )

  it('acknowledges the same last request on two connections at once', async () => {
    await using registry = await started()
    const body = 'y'.repeat(100_000)
    const location = await begin(registry.port)
    const both = await Promise.all([1, 2].map(() => finish(registry.port, location, digest(body), body)))
    expect(both.map(({ status }) => status)).toContain(201)
    for (const { status } of both) expect([201, 409, 416]).toContain(status)
    const blob = await ask(registry.port, { target: `/v2/a/blobs/${digest(body)}` })
    expect(blob.body.toString()).toBe(body)
  })

  it('compares the digest with every byte, not with those of the last request', async () => {
    await using registry = await started()
    const location = await begin(registry.port)
    const { headers } = await append(registry.port, location, 'evil'.repeat(10_000))
    const answer = await finish(registry.port, headers.location ?? '', digest('good'), 'good')
    expect([answer.status, codeOf(answer)]).toEqual([400, 'DIGEST_INVALID'])
    expect((await ask(registry.port, { target: `/v2/a/blobs/${digest('good')}` })).status).toBe(404)
  })
})

it('opens an upload to nobody who was not given exactly its address', async () => {
  await using registry = await startRegistry()
  const location = await begin(registry.port)
  const address = location.slice(location.lastIndexOf('/') + 1)
  const changed = `${address.startsWith('A') ? 'B' : 'A'}${address.slice(1)}`
  const paths = [
    'x',
    '0',
    '-1',
    changed,
    address.slice(1),
    `${address}A`,
    '00000000-0000-0000-0000-000000000000',
  ].map(each => `/v2/a/blobs/uploads/${each}`)
  for (const target of [...paths, `/v2/b/blobs/uploads/${address}`, `/v2/a/a/blobs/uploads/${address}`]) {
    const get = await ask(registry.port, { target })
    const rest = await Promise.all([
      append(registry.port, target, 'x'),
      finish(registry.port, target, digest('x'), 'x'),
      ask(registry.port, { method: 'DELETE', target }),
    ])
    for (const each of [get, ...rest])
      expect([each.status, codeOf(each)]).toEqual([404, 'BLOB_UPLOAD_UNKNOWN'])
  }
  expect(await rangeOf(registry.port, location)).toBe('0-0')
})

it('keeps an owner to a number of uploads, and says when to come again', async () => {
  await using registry = await startRegistry({ settings: { limits: { uploadsPerUser: 3 } } })
  const locations = []
  for (const name of ['a', 'b', 'c', 'd']) locations.push(await begin(registry.port, name))
  const [location = '', second = '', third = '', fourth = ''] = locations
  for (const each of [location, second, third])
    expect((await append(registry.port, each, 'begun')).status).toBe(202)
  const refused = await append(registry.port, fourth, 'one too many')
  expect([refused.status, codeOf(refused)]).toEqual([429, 'TOOMANYREQUESTS'])
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
  const whole = `/v2/d/blobs/uploads/?digest=${digest('z'.repeat(40_000))}`
  const atOnce = { method: 'POST', target: whole, body: 'z'.repeat(40_000) }
  expect((await ask(registry.port, atOnce)).status).toBe(429)
  expect((await ask(registry.port, { target: '/v2/_catalog' })).status).toBe(200)
  expect((await ask(registry.port, { method: 'DELETE', target: location })).status).toBe(204)
  expect((await ask(registry.port, atOnce)).status).toBe(201)
  expect((await append(registry.port, fourth, 'begun')).status).toBe(202)
})

it.for([
  [-1, 404, 1],
  [60_000, 204, 0],
] as const)('after a purge of uploads idle for %i ms answers %i', async ([ttlMs, status, purged]) => {
  const store = memoryStore()
  await using registry = await startRegistry({ store })
  const location = await begin(registry.port)
  const abandoned = await append(registry.port, location, 'abandoned')
  const janitor = localRegistry(store, {
    registryId: 'test',
    sparse: () => 'index',
    uploadLimits: () => ({ perOwner: 100, ttlMs }),
  })
  expect(await janitor.uploads.purge({ signal: AbortSignal.timeout(5000) })).toBe(purged)
  expect((await ask(registry.port, { target: abandoned.headers.location ?? '' })).status).toBe(status)
})
