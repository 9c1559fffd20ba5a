/** Large blobs that a client is sent to the store for. */
import { expect } from 'vitest'
import { journal } from '../../storage/journal.ts'
import { storedRules, storedUser } from '../helpers/access.ts'
import { storeIn } from '../helpers/bucket.ts'
import { guarded } from '../helpers/guarded.ts'
import { digest, randomBytes } from '../helpers/images.ts'
import { app, pushBlob, registryOver } from '../helpers/local-registry.ts'
import { type RegistryOverrides, startRegistry, type TestRegistry } from '../helpers/registry.ts'
import { describeEngines } from '../helpers/s3-engine.ts'
import type { S3Place } from '../helpers/s3-requests.ts'
import { until } from '../helpers/until.ts'
import { io } from '../helpers/waiting.ts'

const large = randomBytes('large', 200_000)
const other = randomBytes('other', 200_000)
const small = randomBytes('small', 60_000)
const inline = randomBytes('inline', 1_000)

const pathOf = (bytes: Buffer) => `/v2/${app}/blobs/${digest(bytes)}`

async function serving(
  place: S3Place,
  bucket: string,
  overrides: RegistryOverrides = {},
  now?: () => number,
) {
  const store = storeIn(place, bucket, now)
  for (const bytes of [large, other, small, inline]) await pushBlob(registryOver(store), bytes)
  return startRegistry({ ...overrides, store })
}

const ask = ({ address }: TestRegistry, bytes: Buffer, init: RequestInit = {}) =>
  fetch(new URL(pathOf(bytes), address), { redirect: 'manual', ...init })

async function locationOf(registry: TestRegistry, bytes = large): Promise<URL> {
  const answer = await ask(registry, bytes)
  expect(answer.status).toBe(307)
  return new URL(answer.headers.get('Location') ?? '')
}

describeEngines(it => {
  it('sends a client to the store, by an address that is kept nowhere', async ({ engine, bucket }) => {
    await using registry = await serving(engine, bucket)
    const answer = await ask(registry, large)
    expect([answer.status, await answer.text()]).toEqual([307, ''])
    const { date: _, 'x-request-id': __, location, ...rest } = Object.fromEntries(answer.headers)
    expect(new URL(location ?? '').origin).toBe(engine.endpoint.origin)
    expect(rest).toEqual({
      'cache-control': 'no-store',
      connection: 'keep-alive',
      'content-length': '0',
      'content-security-policy': "sandbox; default-src 'none'",
      'cross-origin-resource-policy': 'same-origin',
      'docker-content-digest': digest(large),
      'docker-distribution-api-version': 'registry/2.0',
      'keep-alive': 'timeout=65',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    })
  })

  it('leads to the bytes, or to a range of them, as an attachment of no type', async ({ engine, bucket }) => {
    await using registry = await serving(engine, bucket)
    const all = await ask(registry, large, { redirect: 'follow' })
    expect([all.status, all.redirected]).toEqual([200, true])
    expect(Buffer.from(await all.arrayBuffer()).equals(large)).toBe(true)
    expect(all.headers.get('Content-Type')).toBe('application/octet-stream')
    expect(all.headers.get('Content-Disposition')).toBe('attachment')
    for (const [range, start, end] of [
      ['bytes=100-199', 100, 200],
      ['bytes=199990-', 199_990, 200_000],
      ['bytes=-7', 199_993, 200_000],
    ] as const) {
      const some = await ask(registry, large, { redirect: 'follow', headers: { Range: range } })
      expect([some.status, some.redirected]).toEqual([206, true])
      expect(some.headers.get('Content-Range')).toBe(`bytes ${start}-${end - 1}/200000`)
      expect(Buffer.from(await some.arrayBuffer()).equals(large.subarray(start, end))).toBe(true)
    }
  })

  it.for([
    ['HEAD', large, { method: 'HEAD' }, 200],
    ['what the client has', large, { headers: { 'If-None-Match': `"${digest(large)}"` } }, 304],
    ['a range that is not there', large, { headers: { Range: 'bytes=200000-' } }, 416],
    [
      'a range of what the client has',
      large,
      { headers: { Range: 'bytes=0-9', 'If-Range': `"${digest(large)}"` } },
      206,
    ],
    ['a range of something else', large, { headers: { Range: 'bytes=0-9', 'If-Range': '"x"' } }, 200],
    ['what must be ours', large, { headers: { 'If-Match': `"${digest(large)}"` } }, 200],
    ['a small blob', small, {}, 200],
    ['a blob in its link', inline, {}, 200],
    ['a blob that is not there', randomBytes('none', 10), {}, 404],
  ] as const)('answers %s itself', async ([, bytes, init, status], { engine, bucket }) => {
    await using registry = await serving(engine, bucket)
    const answer = await ask(registry, bytes, init)
    expect(answer.status).toBe(status)
    expect(answer.headers.has('Location')).toBe(false)
    const body = Buffer.from(await answer.arrayBuffer())
    if (status === 200 && !('method' in init)) expect(body.equals(bytes)).toBe(true)
    if (status === 206) expect(body.equals(bytes.subarray(0, 10))).toBe(true)
  })

  it.for<[what: string, change: (url: URL, another: URL) => string, init?: RequestInit]>([
    ['another key', (url, another) => another.origin + another.pathname + url.search],
    ['the whole bucket', url => `${url.origin}/${url.pathname.split('/')[1]}${url.search}`],
    ['a list', url => `${url.origin}/${url.pathname.split('/')[1]}/${url.search}&list-type=2`],
    ['HEAD', url => url.href, { method: 'HEAD' }],
    ['PUT', url => url.href, { method: 'PUT', body: 'x' }],
    ['POST', url => url.href, { method: 'POST', body: 'x' }],
    ['DELETE', url => url.href, { method: 'DELETE' }],
    ['another type', url => url.href.replace('octet-stream', 'html')],
    ['another disposition', url => url.href.replace('=attachment', '=inline')],
    ['more time', url => url.href.replace('X-Amz-Expires=600', 'X-Amz-Expires=6000')],
    ['what is in it', url => `${url.href}&tagging`],
    ['a signature less', url => url.href.replace(/&X-Amz-Signature=.*/, '')],
  ])('makes an address that is not good for %s', async ([, change, init], { engine, bucket }) => {
    await using registry = await serving(engine, bucket)
    const [location, another] = [await locationOf(registry), await locationOf(registry, other)]
    const answer = await fetch(change(location, another), init)
    expect([400, 403, 405]).toContain(answer.status)
    expect(Buffer.from(await answer.arrayBuffer()).includes(other.subarray(0, 100))).toBe(false)
    const after = await fetch(location)
    expect(Buffer.from(await after.arrayBuffer()).equals(large)).toBe(true)
  })

  it('makes addresses that end after ten minutes, and not before five', async ({ engine, bucket }) => {
    let passedMs = 0
    await using registry = await serving(engine, bucket, {}, () => Date.now() - passedMs)
    const { status } = await fetch(await locationOf(registry))
    // Made so long ago.
    passedMs = 4.9 * 60_000
    const old = await fetch(await locationOf(registry))
    passedMs = 10.1 * 60_000
    const ended = await fetch(await locationOf(registry))
    expect([status, old.status, ended.status]).toEqual([200, 200, 403])
    expect(await ended.text()).toMatch(/expired/i)
  })

  it('gives the same address for five minutes, whichever process is asked', async ({ engine, bucket }) => {
    let nowMs = Date.UTC(2030, 0, 1)
    await using registry = await serving(engine, bucket, {}, () => nowMs)
    await using beside = await startRegistry({ store: storeIn(engine, bucket, () => nowMs) })
    const first = await locationOf(registry)
    nowMs += 299_999
    expect((await locationOf(registry)).href).toBe(first.href)
    expect((await locationOf(beside)).href).toBe(first.href)
    expect((await locationOf(registry, other)).pathname).not.toBe(first.pathname)
    nowMs += 1
    expect((await locationOf(registry)).href).not.toBe(first.href)
  })

  it.for([
    [true, 307],
    [false, 200],
    [['127.0.0.0/8'], 200],
    [['10.0.0.0/8', '127.0.0.1/32'], 200],
    [['10.0.0.0/8', '2000::/3'], 307],
  ] as const)('with redirect %j answers %i', async ([redirect, status], { engine, bucket }) => {
    await using registry = await serving(engine, bucket, { redirect })
    const answer = await ask(registry, large)
    expect(answer.status).toBe(status)
    if (status === 200) expect(Buffer.from(await answer.arrayBuffer()).equals(large)).toBe(true)
  })

  it.for([
    ['127.0.0.1', 200],
    ['127.0.0.1:5000', 200],
    ['registry.test', 307],
    ['0.0.1', 307],
  ] as const)(
    'keeps who has logged in at %s from showing that to the store: %i',
    async ([host, status], { engine, bucket }) => {
      const store = storeIn(engine, bucket)
      await pushBlob(registryOver(store), large)
      const state = { users: [storedUser('reader')], rules: storedRules('pull team/** reader') }
      await using registry = await guarded(state, { store })
      const headers = { Host: host }
      expect((await registry.as('reader', pathOf(large), { headers })).status).toBe(status)
    },
  )

  it('goes by the client, not by the proxy that asks for it', async ({ engine, bucket }) => {
    const settings = { trustedProxies: ['127.0.0.1'] }
    await using registry = await serving(engine, bucket, { redirect: ['10.1.0.0/16'], settings })
    const statusFor = async (client: string) =>
      (await ask(registry, large, { headers: { 'X-Forwarded-For': client } })).status
    expect([await statusFor('10.1.2.3'), await statusFor('10.2.2.3')]).toEqual([200, 307])
  })

  it('tells an address to nobody who may not pull, and to no log', async ({ engine, bucket }) => {
    const store = storeIn(engine, bucket)
    await pushBlob(registryOver(store), large)
    await using registry = await guarded(
      { users: [storedUser('reader'), storedUser('stranger')], rules: storedRules('pull team/** reader') },
      { store },
    )
    const elsewhere = { headers: { Host: 'registry.test' } }
    const asStranger = await registry.as('stranger', pathOf(large), elsewhere)
    const asNobody = await registry.as(undefined, pathOf(large), elsewhere)
    expect([asStranger.status, asNobody.status]).toEqual([403, 401])
    for (const { headers } of [asStranger, asNobody]) expect(headers.location).toBeUndefined()
    const { status, headers } = await registry.as('reader', pathOf(large), elsewhere)
    expect(status).toBe(307)
    const secret = new URL(headers.location ?? '').searchParams.get('X-Amz-Signature') ?? ''
    expect(secret).toMatch(/^[0-9a-f]{64}$/)
    const told = () => JSON.stringify(registry.observations)
    await until('it is in the log', () => told().includes('"status":307'))
    expect(told()).not.toMatch(/X-Amz|some\/where/)
    let audit = ''
    await until('the login is in the audit', async () => {
      for await (const line of journal(store).lines(io)) audit += line.text
      return audit.includes('reader')
    })
    expect(audit).not.toMatch(/X-Amz|some\/where/)
  })
})
