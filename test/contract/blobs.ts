import { beforeEach, describe, expect, it, vi } from 'vitest'
import { linkKey, linkPrefix, placementPrefix } from '../../storage/layout.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { encodeRecord } from '../../storage/record.ts'
import type { Registry } from '../../storage/registry.ts'
import { digest, image, randomBytes } from '../helpers/images.ts'
import {
  app,
  pushBlob,
  pushImage,
  pushManifest,
  readBlob,
  registryOver,
  repo,
} from '../helpers/local-registry.ts'
import { fault, io, soon } from '../helpers/waiting.ts'

const small = randomBytes('small', 1000)
const large = randomBytes('large', 100_000)
const other = repo('other/app')

/** A store in which time can pass for a record. */
export interface AgingStore {
  readonly store: ObjectStore
  /** Makes a record as old as if it had been written so many hours ago. */
  age(key: string, hours: number): Promise<void>
}

/** How often what is left to chance is tried: a delete in a bucket takes its time. */
export const rounds = (store: ObjectStore, local: number) => (store.remote ? 2 : local)

/**
 * Keys of content. What is empty only tells that an upload is gone. In a bucket, what an upload leaves that was not to be
 * stays until it is collected, and says nothing.
 */
export async function contents(store: ObjectStore): Promise<readonly string[]> {
  const { keys } = await store.list('d/', { ...io, limit: 100 })
  const found: string[] = []
  for (const key of keys) {
    const content = await store.open(key, io)
    if (content?.kind === 'file') content.close()
    if (content && content.size > 0) found.push(key)
  }
  return found
}

async function only(store: ObjectStore, prefix: string): Promise<string> {
  const { keys } = await store.list(prefix, { ...io, limit: 10 })
  expect(keys).toHaveLength(1)
  return keys[0] ?? ''
}

async function freeze(store: ObjectStore, wanted = digest(large)): Promise<void> {
  const key = await only(store, placementPrefix(wanted))
  const found = await store.read(key, io)
  const fields = JSON.parse(found?.bytes.toString() ?? '{}')
  await store.write(key, encodeRecord({ ...fields, st: 'frozen' }), soon({ ifMatch: found?.etag ?? '' }))
}

export function describeBlobs(name: string, open: () => Promise<AgingStore>): void {
  describe(`${name} holds blobs`, () => {
    let store: ObjectStore
    let age: AgingStore['age']
    let registry: Registry
    beforeEach(async () => {
      ;({ store, age } = await open())
      registry = registryOver(store)
    })
    const confirm = (wanted = digest(large), at = app) => registry.blobs.stat(at, wanted, io)
    const linkOf = () => only(store, linkPrefix(digest(large)))
    const unknown = fault('BLOB_UNKNOWN')

    it('small in their links and large by themselves, byte for byte', async () => {
      for (const bytes of [Buffer.alloc(0), small, large]) {
        const pushed = await pushBlob(registry, bytes)
        expect(await registry.blobs.stat(app, pushed, io)).toEqual({
          digest: pushed,
          size: bytes.length,
        })
        expect((await readBlob(registry, pushed)).equals(bytes)).toBe(true)
      }
      expect((await store.list('d/', { ...io, limit: 10 })).keys).toHaveLength(1)
    })

    it('in each repository for itself', async () => {
      await pushBlob(registry, small)
      await expect(confirm(digest(small), other)).rejects.toMatchObject(fault('NAME_UNKNOWN'))
      await pushBlob(registry, large, other)
      await expect(confirm(digest(small), other)).rejects.toMatchObject(unknown)
      await expect(confirm(digest(large))).rejects.toMatchObject(unknown)
    })

    it('mounts what is there, of either size, and says who holds it', async () => {
      for (const bytes of [small, large]) {
        const wanted = await pushBlob(registry, bytes)
        expect(await registry.blobs.mount(app, other, wanted, io)).toBe(true)
        expect((await readBlob(registry, wanted, other)).equals(bytes)).toBe(true)
        const holders = await registry.blobs.holders(wanted, { ...io, limit: 10 })
        expect([...holders].sort()).toEqual([other, app])
        expect(await registry.blobs.holders(wanted, { ...io, limit: 1 })).toHaveLength(1)
      }
      expect(await registry.blobs.mount(app, other, digest(Buffer.from('none')), io)).toBe(false)
      expect((await store.list('d/', { ...io, limit: 10 })).keys).toHaveLength(1)
    })

    it('mounts nothing that is about to be collected, however young its link (W-mount)', async () => {
      const wanted = await pushBlob(registry, large)
      await freeze(store)
      expect(await registry.blobs.mount(app, other, wanted, io)).toBe(false)
      expect((await readBlob(registry, wanted)).equals(large)).toBe(true)
    })

    it('uses what lies there already, and drops the second copy (W-commit)', async () => {
      await pushBlob(registry, large)
      await pushBlob(registry, large, other)
      await only(store, placementPrefix(digest(large)))
      if (!store.remote) expect(await contents(store)).toHaveLength(1)
      expect(await store.uploads(undefined, io)).toEqual([])
    })

    it('is made whole again by a push of what a disk has lost', async () => {
      const pushed = await pushBlob(registry, large)
      const [lost = ''] = await contents(store)
      const open = store.open
      const spy = vi.spyOn(store, 'open').mockImplementation(async (key, options) => {
        return key === lost ? undefined : open(key, options)
      })
      await expect(readBlob(registry, pushed)).rejects.toThrow(/missing/)
      await pushBlob(registry, large)
      expect((await readBlob(registry, pushed)).equals(large)).toBe(true)
      spy.mockRestore()
    })

    it('keeps a second copy of what is about to be collected (W-commit)', async () => {
      await pushBlob(registry, large)
      const before = await store.read(await linkOf(), io)
      await freeze(store)
      await pushBlob(registry, large)
      expect((await store.list(placementPrefix(digest(large)), { ...io, limit: 10 })).keys).toHaveLength(2)
      expect((await store.read(await linkOf(), io))?.bytes.equals(before?.bytes ?? large)).toBe(false)
      expect(await registry.blobs.mount(app, other, digest(large), io)).toBe(true)
    })

    it('touches an old link when asked to confirm it, and no young one (W-head)', async () => {
      await pushBlob(registry, large)
      const young = await store.read(await linkOf(), io)
      await confirm()
      expect((await store.read(await linkOf(), io))?.etag).toBe(young?.etag)
      await age(await linkOf(), 13)
      await registry.blobs.find(app, digest(large), io)
      expect((await store.read(await linkOf(), io))?.etag).toBe(young?.etag)
      await confirm()
      const touched = await store.read(await linkOf(), io)
      expect(touched?.etag).not.toBe(young?.etag)
      expect(Date.now() - (touched?.modifiedMs ?? 0)).toBeLessThan(60_000)
    })

    it('confirms no old link to what is about to be collected, but serves it (W-head)', async () => {
      await pushBlob(registry, large)
      await freeze(store)
      await confirm()
      await age(await linkOf(), 13)
      await expect(confirm()).rejects.toMatchObject(unknown)
      expect((await readBlob(registry, digest(large))).equals(large)).toBe(true)
    })

    it('removes a blob that no manifest names, and no other', async () => {
      const pushed = image({ seed: 'remove', layers: [100_000] })
      await pushImage(registry, pushed)
      for (const { descriptor } of pushed.blobs) {
        const removing = registry.blobs.remove(app, descriptor.digest, io)
        await expect(removing).rejects.toMatchObject(fault('BLOB_IN_USE'))
        await confirm(descriptor.digest)
      }
      await registry.manifests.remove(app, pushed.descriptor.digest, { by: 'me' }, io)
      for (const { descriptor } of pushed.blobs) {
        await registry.blobs.remove(app, descriptor.digest, io)
        await expect(confirm(descriptor.digest)).rejects.toMatchObject(unknown)
        await expect(registry.blobs.remove(app, descriptor.digest, io)).rejects.toMatchObject(unknown)
      }
    })

    it('acknowledges no manifest whose blob is being deleted', async () => {
      const pushed = image({ seed: 'race', layers: [100] })
      for (let round = 0; round < rounds(store, 10); round++) {
        for (const blob of pushed.blobs) await pushBlob(registry, blob.bytes)
        const wanted = pushed.blobs[0]?.descriptor.digest ?? digest(small)
        const [manifest, removal] = await Promise.allSettled([
          pushManifest(registryOver(store), pushed),
          registry.blobs.remove(app, wanted, io),
        ])
        if (manifest.status === 'fulfilled') {
          await confirm(wanted)
          await registry.manifests.remove(app, pushed.descriptor.digest, { by: 'me' }, io)
        } else {
          expect(manifest.reason).toMatchObject(fault('MANIFEST_BLOB_UNKNOWN'))
          await registry.manifests.remove(app, pushed.descriptor.digest, { by: 'me' }, io).catch(() => {})
        }
        if (removal.status === 'rejected') expect(removal.reason).toMatchObject(fault('BLOB_IN_USE'))
      }
    })

    it('relies on no link that was left half deleted, until the blob is pushed again', async () => {
      const wanted = await pushBlob(registry, small)
      const key = await only(store, linkPrefix(wanted))
      const found = await store.read(key, io)
      const fields = JSON.parse(found?.bytes.toString() ?? '{}')
      await store.write(key, encodeRecord({ ...fields, leaving: true }), soon({ ifMatch: found?.etag ?? '' }))
      await expect(confirm(wanted)).rejects.toMatchObject(unknown)
      expect(await registry.blobs.mount(app, other, wanted, io)).toBe(false)
      expect((await readBlob(registry, wanted)).equals(small)).toBe(true)
      await pushBlob(registry, small)
      expect(await confirm(wanted)).toMatchObject({ size: small.length })
    })

    it('says that content is damaged rather than serve it', async () => {
      const wanted = await pushBlob(registry, large)
      const found = await store.read(await linkOf(), io)
      const fields = JSON.parse(found?.bytes.toString() ?? '{}')
      const rid = (await linkOf()).split('r.')[1] ?? ''
      await store.write(
        linkKey(wanted, rid),
        encodeRecord({ ...fields, s: 5 }),
        soon({ ifMatch: found?.etag ?? '' }),
      )
      await expect(readBlob(registry, wanted)).rejects.toThrow('damaged')
    })
  })
}
