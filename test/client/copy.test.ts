import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { type CopyEvent, copyImage } from '../../client/copy.ts'
import { parsePlatform } from '../../client/platform.ts'
import { imageFor } from '../../client/platform-image.ts'
import { registryClient } from '../../client/registry-client.ts'
import { parseReference, parseRepositoryName } from '../../oci/names.ts'
import { digest, digestsOf, type Image, image, multiArch, randomBytes } from '../helpers/images.ts'
import { manifestStatus, pullDigests, pushImage, tagsOf } from '../helpers/push.ts'
import { type RegistryOverrides, startRegistry } from '../helpers/registry.ts'
import { scriptedServer } from '../helpers/scripted-server.ts'
import { openTap } from '../helpers/tap.ts'
import { io } from '../helpers/waiting.ts'

const tag = parseReference('1')

async function open(overrides: RegistryOverrides = {}) {
  const registry = await startRegistry(overrides)
  const tap = await openTap(new URL(registry.address).host)
  const client = registryClient(tap.host, { credentials: async () => undefined })
  return {
    tap,
    repository: (name: string) => client.repository(parseRepositoryName(name)),
    plain: (name: string) => ({ address: registry.address, name }),
    async [Symbol.asyncDispose]() {
      await tap[Symbol.asyncDispose]()
      await registry[Symbol.asyncDispose]()
    },
  }
}

type Side = Awaited<ReturnType<typeof open>>

async function copy(from: Side, to: Side, name = 'copy', platform?: string): Promise<readonly CopyEvent[]> {
  const source = from.repository('app')
  const wanted = platform === undefined ? undefined : parsePlatform(platform)
  const top = await imageFor(source, tag, wanted, io)
  const events: CopyEvent[] = []
  const sides = { from: source, to: to.repository(name), canMount: from === to }
  await copyImage({ ...sides, image: top, as: tag, observe: event => events.push(event) }, io)
  return events
}

const ends = (events: readonly CopyEvent[]) =>
  events.flatMap(event => (event.kind === 'ended' ? event.how : [])).sort()
const sentBytes = (events: readonly CopyEvent[]) =>
  events.reduce((sum, event) => sum + (event.kind === 'sent' ? event.bytes : 0), 0)
/** Five blobs: the two images share their layers. */
const made = multiArch({ seed: 'copy', layers: [100, 200_000, 300] })

it('copies an index with all its images, byte for byte, the tag last', async () => {
  await using from = await open()
  await using to = await open()
  await pushImage(from.plain('app'), made, '1')

  const events = await copy(from, to)

  expect(await pullDigests(to.plain('copy'), '1')).toEqual({
    top: made.descriptor.digest,
    all: digestsOf(made),
  })
  expect(ends(events)).toEqual(['sent', 'sent', 'sent', 'sent', 'sent'])
  expect(sentBytes(events)).toBe(to.tap.uploadedBytes())
  const puts = to.tap.exchanges.filter(({ method, path }) => method === 'PUT' && path.includes('/manifests/'))
  const children = made.children.map(({ descriptor }) => `/v2/copy/manifests/${descriptor.digest}`)
  expect(
    puts
      .slice(0, -1)
      .map(({ path }) => path)
      .sort(),
  ).toEqual(children.sort())
  expect(to.tap.exchanges.at(-1)?.path).toBe('/v2/copy/manifests/1')
})

it('sends nothing that is there', async () => {
  await using from = await open()
  await using to = await open()
  await pushImage(from.plain('app'), made, '1')
  await copy(from, to)
  const before = to.tap.uploadedBytes()

  expect(ends(await copy(from, to))).toEqual(['there', 'there', 'there', 'there', 'there'])
  expect(to.tap.uploadedBytes()).toBe(before)
})

it('mounts within a registry', async () => {
  await using registry = await open()
  await pushImage(registry.plain('app'), made, '1')

  const events = await copy(registry, registry)

  expect(ends(events)).toEqual(['mounted', 'mounted', 'mounted', 'mounted', 'mounted'])
  expect(registry.tap.mounts()).toBe(5)
  expect(registry.tap.uploadedBytes()).toBe(0)
  expect((await pullDigests(registry.plain('copy'), '1')).all).toEqual(digestsOf(made))
})

it.for(['linux/arm64', 'linux/arm64/v8'])('copies the image of one platform: %s', async platform => {
  await using from = await open()
  await using to = await open()
  await pushImage(from.plain('app'), made, '1')
  const [, arm] = made.children as readonly [Image, Image]

  await copy(from, to, 'copy', platform)

  expect(await pullDigests(to.plain('copy'), '1')).toEqual({
    top: arm.descriptor.digest,
    all: digestsOf(arm),
  })
})

it.for<[what: string, pushed: Image]>([
  ['an index', made],
  ['an image', image({ seed: 'one', layers: [100] })],
])('says which platforms %s has', async ([, pushed]) => {
  await using from = await open()
  await pushImage(from.plain('app'), pushed, '1')

  await expect(copy(from, from, 'copy', 'linux/arm64/v9')).rejects.toThrow(
    /app:1 is not for linux\/arm64\/v9: there are linux\/amd64/,
  )
  expect(await manifestStatus(from.plain('copy'), '1')).toBe(404)
})

it('takes an image that is no index for its own platform', async () => {
  await using registry = await open()
  const one = image({ seed: 'one', layers: [100] })
  await pushImage(registry.plain('app'), one, '1')

  await copy(registry, registry, 'copy', 'linux/amd64')

  expect((await pullDigests(registry.plain('copy'), '1')).top).toBe(one.descriptor.digest)
})

it('leaves layers that others distribute where they are', async () => {
  const usual = image({ seed: 'foreign', layers: [100] })
  const shape = JSON.parse(usual.bytes.toString())
  const bytes = randomBytes('foreign', 10)
  shape.layers.push({
    mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    digest: digest(bytes),
    size: bytes.length,
    urls: ['https://example.com/layer'],
  })
  const body = Buffer.from(JSON.stringify(shape))
  const descriptor = { ...usual.descriptor, digest: digest(body), size: body.length }
  const foreign = { ...usual, bytes: body, descriptor }
  await using from = await open()
  await using to = await open()
  await pushImage(from.plain('app'), foreign, '1')

  expect(ends(await copy(from, to))).toEqual(['sent', 'sent'])
  expect(await manifestStatus(to.plain('copy'), descriptor.digest)).toBe(200)
})

it('names nothing at the destination when the source sends other bytes', async () => {
  const one = image({ seed: 'bad', layers: [5_000] })
  await using to = await open()
  await using server = await scriptedServer(({ path }) => {
    if (path.includes('/manifests/'))
      return { body: one.bytes, headers: { 'Content-Type': one.descriptor.mediaType } }
    const blob = one.blobs.find(({ descriptor }) => path.endsWith(descriptor.digest))
    const isLayer = blob === one.blobs[1]
    return { body: isLayer ? randomBytes('bad', blob?.bytes.length ?? 0) : (blob?.bytes ?? '') }
  })
  const source = registryClient(server.host, { credentials: async () => undefined }).repository(
    parseRepositoryName('app'),
  )
  const top = await imageFor(source, tag, undefined, io)
  const request = { from: source, to: to.repository('copy'), canMount: false, image: top, as: tag }

  await expect(copyImage({ ...request, observe() {} }, io)).rejects.toThrow(
    /holds other bytes than those of sha256:/,
  )
  expect(to.tap.exchanges.filter(({ path }) => path.includes('/manifests/'))).toEqual([])
})

it('lets go of everything when one blob fails', async () => {
  const one = image({ seed: 'stuck', layers: [5_000, 6_000] })
  const begun = Promise.withResolvers<void>()
  const cut = Promise.withResolvers<void>()
  await using to = await open()
  const stuck = createServer(async (req, res) => {
    if (req.url?.endsWith(one.blobs[1]?.descriptor.digest ?? '')) {
      req.socket.once('close', () => cut.resolve())
      res.flushHeaders()
      return begun.resolve()
    }
    await begun.promise
    res.writeHead(500).end()
  }).listen(0, '127.0.0.1')
  await once(stuck, 'listening')
  // A TCP server's address is never a string.
  const { port } = stuck.address() as AddressInfo
  const from = registryClient(`127.0.0.1:${port}`, { credentials: async () => undefined }).repository(
    parseRepositoryName('app'),
  )
  const top = { ...one.descriptor, bytes: one.bytes }
  const request = { from, to: to.repository('copy'), canMount: false, image: top, as: tag }

  await expect(copyImage({ ...request, observe() {} }, io)).rejects.toThrow(/^blob \S+ of \S+\/app: 500$/)
  await cut.promise
  stuck.close()
})

it('copies no index that is nested without end', async () => {
  await using registry = await open()
  const nest = (inner: Image, depth: number): Image => {
    const index = { schemaVersion: 2, mediaType: made.descriptor.mediaType, manifests: [inner.descriptor] }
    const bytes = Buffer.from(JSON.stringify(index))
    const descriptor = { mediaType: made.descriptor.mediaType, digest: digest(bytes), size: bytes.length }
    const outer = { bytes, descriptor, blobs: [], children: [inner] }
    return depth === 1 ? outer : nest(outer, depth - 1)
  }
  await pushImage(registry.plain('app'), nest(made, 3), '1')

  await expect(copy(registry, registry)).rejects.toThrow(/lies more than 3 indexes deep: refused$/)
  expect(await tagsOf(registry.plain('app'))).toEqual(['1'])
})
