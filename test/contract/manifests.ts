import { beforeEach, describe, expect, it, vi } from 'vitest'
import { hexOf } from '../../oci/names.ts'
import { deletedTagKey, linkPrefix, placementPrefix } from '../../storage/layout.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { encodeRecord } from '../../storage/record.ts'
import type { Registry } from '../../storage/registry.ts'
import { digest, type Image, image, multiArch } from '../helpers/images.ts'
import {
  app,
  body,
  pushBlob,
  pusher,
  pushImage,
  pushManifest,
  registryOver,
  tag,
} from '../helpers/local-registry.ts'
import { fault, io, soon } from '../helpers/waiting.ts'
import { type AgingStore, rounds } from './blobs.ts'

const layers = [100, 20_000]
const single = image({ seed: 'manifest', layers })
const latest = tag('latest')
const versions = Array.from({ length: 20 }, (_, at) => image({ seed: `version ${at}`, layers: [] }))

export function describeManifests(name: string, open: () => Promise<AgingStore>): void {
  describe(`${name} keeps manifests`, () => {
    const changed = fault('TAG_CHANGED')
    let store: ObjectStore
    let age: AgingStore['age']
    let registry: Registry
    beforeEach(async () => {
      ;({ store, age } = await open())
      registry = registryOver(store)
    })
    const read = (reference: Parameters<Registry['manifests']['read']>[1]) =>
      registry.manifests.read(app, reference, io)
    const unknown = fault('MANIFEST_UNKNOWN')
    const keys = async (prefix: string) => (await store.list(prefix, { ...io, limit: 100 })).keys
    /** The first record under a prefix, as JSON, with the key it lies at. */
    async function record(prefix: string) {
      const [key = ''] = await keys(prefix)
      const found = await store.read(key, io)
      return { key, etag: found?.etag ?? '', fields: JSON.parse(found?.bytes.toString() ?? '{}') }
    }

    it.for<[string, Image]>([
      ['an OCI image', single],
      ['a Docker image', image({ seed: 'docker', layers, dialect: 'docker' })],
      ['an OCI index', multiArch({ seed: 'index', layers })],
      ['a Docker list', multiArch({ seed: 'list', layers, dialect: 'docker' })],
      ['an image by sha512', image({ seed: 'sha512', layers: [], algorithm: 'sha512' })],
    ])('byte for byte: %s', async ([, pushed]) => {
      for (const child of pushed.children) await pushImage(registry, child)
      for (const { bytes, descriptor } of pushed.blobs)
        await registry.uploads.receive(pusher, descriptor.digest, body(bytes), io)
      const written = await pushManifest(registry, pushed, undefined, { tags: [latest, tag('v1')] })
      expect(written.digest).toBe(pushed.descriptor.digest)
      for (const reference of [written.digest, latest, tag('v1')]) {
        const found = await read(reference)
        expect(found).toMatchObject({
          mediaType: pushed.descriptor.mediaType,
          digest: written.digest,
          size: pushed.bytes.length,
        })
        expect(found.bytes.equals(pushed.bytes)).toBe(true)
      }
    })

    it('and refuses one whose parts are missing, naming each, as far as it is told to', async () => {
      const index = multiArch({ seed: 'sparse', layers })
      const missing = (image: Image) => image.blobs.map(({ descriptor }) => ({ digest: descriptor.digest }))
      const refusal = (detail: unknown) => ({ ...fault('MANIFEST_BLOB_UNKNOWN'), detail })
      await expect(pushManifest(registry, single)).rejects.toMatchObject(refusal(missing(single)))
      const children = index.children.map(({ descriptor }) => ({ digest: descriptor.digest }))
      await expect(pushManifest(registry, index)).rejects.toMatchObject(refusal(children))
      expect(await keys('m/')).toEqual([])
      const lenient = registryOver(store, { sparse: () => 'index' })
      await pushManifest(lenient, index)
      await expect(pushManifest(lenient, single)).rejects.toMatchObject(refusal(missing(single)))
      await pushManifest(registryOver(store, { sparse: () => 'any' }), single)
      expect((await read(single.descriptor.digest)).size).toBe(single.bytes.length)
    })

    it('and refuses one that is not what its digest says', async () => {
      await pushImage(registry, single)
      const pushing = pushManifest(registry, single, digest(Buffer.from('other')))
      await expect(pushing).rejects.toMatchObject(fault('DIGEST_INVALID'))
    })

    it('and points a tag only from where the push says', async () => {
      for (const version of versions.slice(0, 2)) await pushImage(registry, version)
      const [first, second] = versions.map(({ descriptor }) => descriptor.digest)
      const push = (at: number, condition: NonNullable<Parameters<typeof pushManifest>[3]>['condition']) =>
        pushManifest(registry, versions[at] ?? single, latest, { condition })
      await expect(push(0, { ifPresent: true })).rejects.toMatchObject(changed)
      await push(0, { ifAbsent: true })
      await expect(push(1, { ifAbsent: true })).rejects.toMatchObject(changed)
      await expect(push(1, { ifDigest: [second ?? ''] })).rejects.toMatchObject(changed)
      await push(1, { ifDigest: ['sha256:x', first ?? ''] })
      expect((await read(latest)).digest).toBe(second)
      await push(0, { ifPresent: true })
      expect((await read(latest)).digest).toBe(first)
    })

    it('and remembers what a tag was, sixteen times back, also when it is deleted', async () => {
      for (const version of versions) await pushImage(registry, version, latest)
      await pushImage(registry, versions.at(-1) ?? single, latest)
      const { key, fields } = await record('t/')
      const digests = versions.map(({ descriptor }) => descriptor.digest)
      expect(fields).toMatchObject({ d: digests[19], rev: 21, by: 'me' })
      expect(fields.h.map((past: { d: string }) => past.d)).toEqual(digests.slice(3, 19).reverse())
      await registry.manifests.remove(app, latest, { by: 'you' }, io)
      await expect(read(latest)).rejects.toMatchObject(unknown)
      await expect(registry.manifests.remove(app, latest, { by: 'you' }, io)).rejects.toMatchObject(unknown)
      expect((await read(digests[19] ?? latest)).digest).toBe(digests[19])
      const deleted = await record(deletedTagKey(key.split('/')[1] ?? '', latest))
      expect(deleted.fields).toMatchObject({ d: digests[19], h: fields.h, deleted: { by: 'you' } })
    })

    it('and deletes one with every tag of its own, and no other', async () => {
      await pushImage(registry, single)
      await pushManifest(registry, single, latest, { tags: ['a', 'b', 'c'].map(tag) })
      const other = versions[0] ?? single
      await pushImage(registry, other, tag('other'))
      await registry.manifests.remove(app, single.descriptor.digest, { by: 'me' }, io)
      await expect(read(single.descriptor.digest)).rejects.toMatchObject(unknown)
      const { items } = await registry.manifests.tags(app, { ...io, limit: 10 })
      expect(items).toEqual(['other'])
      const again = registry.manifests.remove(app, single.descriptor.digest, { by: 'me' }, io)
      await expect(again).rejects.toMatchObject(unknown)
    })

    it('and loses no tag of a push that meets a delete', async () => {
      await pushImage(registry, single, latest)
      for (let round = 0; round < rounds(store, 20); round++) {
        const pushes = [tag(`r${round}`), latest].map(reference => pushManifest(registry, single, reference))
        const removal = registry.manifests.remove(app, single.descriptor.digest, { by: 'me' }, io)
        await Promise.allSettled([removal, ...pushes])
        // Either the delete came last and nothing is left, or a push did and its tag is there.
        const held = await read(single.descriptor.digest).catch(() => undefined)
        const { items } = await registry.manifests.tags(app, { ...io, limit: 100 })
        if (held) expect(items.length).toBeGreaterThan(0)
        else expect(items).toEqual([])
        await pushManifest(registry, single, latest)
      }
    })

    it('and forgets the tags of a manifest whose removal was cut off', async () => {
      await pushImage(registry, single, latest)
      const [key = ''] = (await keys('m/')).filter(each => each.endsWith(hexOf(single.descriptor.digest)))
      await store.remove(key, { ...io, deadlineMs: Date.now() + 60_000 })
      const removal = registry.manifests.remove(app, single.descriptor.digest, { by: 'me' }, io)
      await expect(removal).rejects.toMatchObject(unknown)
      expect((await registry.manifests.tags(app, { ...io, limit: 10 })).items).toEqual([])
    })

    it('and leaves no tag that leads nowhere, wherever a removal is cut off', async () => {
      const { remove } = store
      let ended = false
      for (let steps = 0; !ended; steps++) {
        await pushImage(registry, single, latest)
        let left = steps
        const cut = vi.spyOn(store, 'remove').mockImplementation(async (key, options) => {
          if (left-- === 0) throw new Error('cut off')
          return remove(key, options)
        })
        const removal = registry.manifests.remove(app, single.descriptor.digest, { by: 'me' }, io)
        ended = await removal.then(
          () => true,
          () => false,
        )
        cut.mockRestore()
        const { items } = await registry.manifests.tags(app, { ...io, limit: 10 })
        for (const each of items) expect((await read(each)).digest).toBe(single.descriptor.digest)
        if (ended) expect([steps, items]).toEqual([2, []])
        else await registry.manifests.remove(app, single.descriptor.digest, { by: 'me' }, io)
      }
    })

    it('and writes nothing of a push whose condition does not hold', async () => {
      const [first = single, second = single] = versions
      await pushImage(registry, first, tag('there'))
      await pushImage(registry, single)
      const both = { condition: { ifAbsent: true }, tags: [tag('new'), tag('there')] } as const
      await expect(pushManifest(registry, second, undefined, both)).rejects.toMatchObject(changed)
      await expect(read(second.descriptor.digest)).rejects.toMatchObject(unknown)
      expect((await registry.manifests.tags(app, { ...io, limit: 10 })).items).toEqual(['there'])
      const again = pushManifest(registry, first, undefined, { condition: { ifAbsent: true } })
      await expect(again).rejects.toMatchObject(changed)
      const other = pushManifest(registry, second, undefined, { condition: { ifPresent: true } })
      await expect(other).rejects.toMatchObject(changed)
    })

    it('and lists tags page by page', async () => {
      await pushImage(registry, single)
      const all = ['1', '10', '2', 'A', '_', 'a', 'a-b', 'a.b', 'latest']
      await pushManifest(registry, single, undefined, { tags: [...all].reverse().map(tag) })
      const { items, more } = await registry.manifests.tags(app, { ...io, limit: 4 })
      expect([items, more]).toEqual([all.slice(0, 4), true])
      const rest = await registry.manifests.tags(app, { ...io, limit: 5, after: items.at(-1) })
      expect([rest.items, rest.more]).toEqual([all.slice(4), false])
    })

    it('touches old links and old children when it relies on them (W-manifest)', async () => {
      const index = multiArch({ seed: 'old', layers })
      await pushImage(registry, index)
      const old = [...(await keys('m/')), ...(await keys('b/'))].filter(key => !key.includes('.p.'))
      if (store.remote) await Promise.all(old.map(key => age(key, 13)))
      else for (const key of old) await age(key, 13)
      const etags = new Map(
        await Promise.all(old.map(async key => [key, (await store.read(key, io))?.etag] as const)),
      )
      const [child] = index.children
      await pushManifest(registry, index)
      if (child) await pushManifest(registry, child)
      const rewritten: string[] = []
      for (const key of old) if ((await store.read(key, io))?.etag !== etags.get(key)) rewritten.push(key)
      const touched = [index, ...index.children, ...(child?.blobs ?? [])].map(({ descriptor }) =>
        descriptor.digest.slice(7),
      )
      for (const hex of touched)
        expect(
          rewritten.some(key => key.includes(hex)),
          hex,
        ).toBe(true)
      expect((await read(index.descriptor.digest)).bytes.equals(index.bytes)).toBe(true)
    })

    it('relies on no old link to what is about to be collected (W-manifest)', async () => {
      await pushImage(registry, single)
      const large =
        single.blobs.find(({ bytes }) => bytes.length > 16_384)?.descriptor.digest ?? digest(Buffer.alloc(0))
      const { key, etag, fields } = await record(placementPrefix(large))
      await store.write(key, encodeRecord({ ...fields, st: 'frozen' }), soon({ ifMatch: etag }))
      await pushManifest(registry, single)
      await age((await record(linkPrefix(large))).key, 13)
      const refused = { ...fault('MANIFEST_BLOB_UNKNOWN'), detail: [{ digest: large }] }
      await expect(pushManifest(registry, single)).rejects.toMatchObject(refused)
    })

    it('looks again when its confirmations grew old before the manifest appeared (W-manifest)', async () => {
      for (const { bytes } of single.blobs) await pushBlob(registry, bytes)
      const write = store.write
      let slept = false
      vi.spyOn(store, 'write').mockImplementation(async (key, bytes, options) => {
        const written = await write(key, bytes, options)
        if (slept || !written || !key.startsWith('m/')) return written
        slept = true
        return { ...written, modifiedMs: written.modifiedMs + 25 * 3600_000 }
      })
      const stat = vi.spyOn(store, 'read')
      await pushManifest(registry, single)
      const reads = stat.mock.calls.filter(([key]) => key.startsWith('b/')).length
      expect(reads).toBe(single.blobs.length * 3)
    })
  })
}
