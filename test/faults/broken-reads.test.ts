/** Blobs that pass through us, from a store that breaks off and to clients that leave. */
import { expect } from 'vitest'
import { storeIn } from '../helpers/bucket.ts'
import { send } from '../helpers/http.ts'
import { digest, randomBytes } from '../helpers/images.ts'
import { app, pushBlob, registryOver } from '../helpers/local-registry.ts'
import { rawClient } from '../helpers/raw-client.ts'
import { startRegistry } from '../helpers/registry.ts'
import { describeEngines, type S3Engine } from '../helpers/s3-engine.ts'
import { type S3Fault, slowDown } from '../helpers/s3-faults.ts'
import { startS3Proxy } from '../helpers/s3-proxy.ts'
import type { S3WireRequest } from '../helpers/s3-wire.ts'
import { until } from '../helpers/until.ts'

const large = randomBytes('through', 3_000_000)
const small = randomBytes('through', 50_000)

const isContent = ({ kind, key }: S3WireRequest) => kind === 'GET object' && key.includes('/d/')
const isRest = (request: S3WireRequest) => isContent(request) && request.headers['if-match'] !== undefined

const precondition: S3Fault = {
  kind: 'error',
  status: 412,
  code: 'PreconditionFailed',
  message: 'It has changed.',
}
const gone: S3Fault = { kind: 'error', status: 404, code: 'NoSuchKey', message: 'It is not there.' }

/** A registry whose clients get all bytes from it, over a wire to an engine. */
async function through(engine: S3Engine, bucket: string) {
  const proxy = await startS3Proxy(engine)
  const store = storeIn(proxy, bucket)
  for (const bytes of [large, small]) await pushBlob(registryOver(store), bytes)
  const registry = await startRegistry({ store, redirect: false })
  const pathOf = (bytes: Buffer) => `/v2/${app}/blobs/${digest(bytes)}`
  return {
    proxy,
    registry,
    pathOf,
    get: (bytes: Buffer, range?: string) =>
      fetch(new URL(pathOf(bytes), registry.address), { headers: { ...(range && { Range: range }) } }),
    /** How the store was asked for content. */
    asked: () =>
      proxy.requests
        .filter(isContent)
        .map(({ headers, status }) => [headers.range, headers['if-match'] !== undefined, status]),
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]()
      await proxy[Symbol.asyncDispose]()
    },
  }
}

const bytesOf = async (answer: Response) => Buffer.from(await answer.arrayBuffer())

describeEngines(it => {
  it('sends all of a blob, or the range that is asked for', async ({ engine, bucket }) => {
    await using self = await through(engine, bucket)
    const all = await self.get(large)
    expect([all.status, (await bytesOf(all)).equals(large)]).toEqual([200, true])
    for (const [range, start, end] of [
      ['bytes=0-0', 0, 1],
      ['bytes=1000000-1999999', 1_000_000, 2_000_000],
      ['bytes=2999990-', 2_999_990, 3_000_000],
      ['bytes=-1000000', 2_000_000, 3_000_000],
      ['bytes=5-9999999', 5, 3_000_000],
    ] as const) {
      const answer = await self.get(large, range)
      expect([answer.status, answer.headers.get('Content-Range')]).toEqual([
        206,
        `bytes ${start}-${end - 1}/3000000`,
      ])
      expect((await bytesOf(answer)).equals(large.subarray(start, end))).toBe(true)
    }
    expect((await self.get(large, 'bytes=3000000-')).status).toBe(416)
    expect(self.asked().map(([range]) => range)).toEqual([
      undefined,
      'bytes=0-0',
      'bytes=1000000-1999999',
      'bytes=2999990-2999999',
      'bytes=2000000-2999999',
      'bytes=5-2999999',
    ])
  })

  it.for([
    ['a blob', undefined, 0, 3_000_000],
    ['a range of one', 'bytes=1000000-2999999', 1_000_000, 3_000_000],
  ] as const)('goes on with %s that breaks off', async ([, range, start, end], { engine, bucket }) => {
    await using self = await through(engine, bucket)
    self.proxy.inject({ kind: 'cutAnswer' }, { when: isContent, times: 2 })
    const answer = await self.get(large, range)
    expect((await bytesOf(answer)).equals(large.subarray(start, end))).toBe(true)
    const [first, ...rest] = self.asked()
    expect(first?.slice(1)).toEqual([false, range ? 206 : 200])
    // From where it broke off, of the same object.
    expect(rest.map(([, ...more]) => more)).toEqual([
      [true, 206],
      [true, 206],
    ])
    const froms = rest.map(([from]) => Number(/^bytes=(\d+)-2999999$/.exec(String(from))?.[1]))
    expect(froms[0]).toBeGreaterThan(start)
    expect(froms[1]).toBeGreaterThan(froms[0] ?? 0)
  })

  it('goes on when the store wants to be left alone for a moment', async ({ engine, bucket }) => {
    await using self = await through(engine, bucket)
    self.proxy.inject({ kind: 'cutAnswer' }, { when: isContent })
    self.proxy.inject(slowDown, { when: isRest, times: 2 })
    expect((await bytesOf(await self.get(large))).equals(large)).toBe(true)
  })

  it.for<[what: string, fault: S3Fault, times: number, most: number]>([
    ['breaks off again and again', { kind: 'cutAnswer' }, 100, 4],
    ['has another object there', precondition, 1, 2],
    ['has nothing there any more', gone, 1, 2],
  ])('cuts off the client of a store that %s', async ([, fault, times, most], { engine, bucket }) => {
    await using self = await through(engine, bucket)
    self.proxy.inject({ kind: 'cutAnswer' }, { when: isContent })
    self.proxy.inject(fault, { when: isRest, times })
    const answer = await self.get(large)
    expect([answer.status, answer.headers.get('Content-Length')]).toEqual([200, '3000000'])
    await expect(bytesOf(answer)).rejects.toThrow()
    expect(self.asked()).toHaveLength(most)
    const ended = () => self.registry.observations.find(each => each.event === 'request' && each.error)
    await until('it is in the log', () => ended() !== undefined)
    expect(ended()).toMatchObject({ status: 499 })
  })

  it('says that the storage does not answer when a small blob keeps breaking off', async ({
    engine,
    bucket,
  }) => {
    await using self = await through(engine, bucket)
    const cut = self.proxy.inject({ kind: 'cutAnswer' }, { when: isContent, times: 100 })
    const refused = await send(self.registry.address, self.pathOf(small))
    expect([refused.status, refused.code]).toEqual([503, 'UNAVAILABLE'])
    cut.stop()
    expect((await bytesOf(await self.get(small))).equals(small)).toBe(true)
  })

  it('lets go of the store when a client leaves, and keeps nothing of it', async ({ engine, bucket }) => {
    await using self = await through(engine, bucket)
    const huge = randomBytes('huge', 40_000_000)
    await pushBlob(registryOver(self.registry.store), huge)
    for (let time = 0; time < 3; time++) {
      await using client = await rawClient({ host: '127.0.0.1', port: self.registry.port })
      client.ask(self.pathOf(huge))
      await client.begin()
      expect(self.proxy.underWay()).toBe(1)
      client.socket.destroy()
      await until('the store is asked for nothing', () => self.proxy.underWay() === 0)
    }
    // Nobody asked for the rest of it.
    expect(self.asked()).toEqual(Array(3).fill([undefined, false, 200]))
    expect((await bytesOf(await self.get(large))).equals(large)).toBe(true)
  })

  it('uses its connections to the store again', async ({ engine, bucket }) => {
    await using self = await through(engine, bucket)
    await bytesOf(await self.get(large))
    const before = self.proxy.connections()
    for (let time = 0; time < 5; time++) await bytesOf(await self.get(large))
    expect(self.proxy.connections()).toBe(before)
  })
})
