/** Pushes, reads and deletes of one manifest or tag that meet. */
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { ObjectStore } from '../../storage/object-store.ts'
import type { Registry } from '../../storage/registry.ts'
import { image } from '../helpers/images.ts'
import { app, pushBlob, pushImage, pushManifest, registryOver, tag } from '../helpers/local-registry.ts'
import { io } from '../helpers/waiting.ts'
import type { AgingStore } from './blobs.ts'

const single = image({ seed: 'manifest', layers: [100] })
const latest = tag('latest')
const versions = [0, 1].map(at => image({ seed: `version ${at}`, layers: [] }))

export function describeManifestRaces(name: string, open: () => Promise<AgingStore>): void {
  describe(`${name}, where much happens at once,`, () => {
    let store: ObjectStore
    let registry: Registry
    beforeEach(async () => {
      ;({ store } = await open())
      registry = registryOver(store)
    })
    const read = (reference: Parameters<Registry['manifests']['read']>[1]) =>
      registry.manifests.read(app, reference, io)
    const keys = async (prefix: string) => (await store.list(prefix, { ...io, limit: 100 })).keys

    it('finds a tag that is moved while it is read, and what it led to deleted', async () => {
      const [first = single, second = single] = versions
      await pushImage(registry, first, latest)
      const { read: readRecord } = store
      const key = (await keys('m/'))[0]
      vi.spyOn(store, 'read').mockImplementation(async (asked, given) => {
        if (asked === key) {
          vi.restoreAllMocks()
          await pushImage(registry, second, latest)
          await registry.manifests.remove(app, first.descriptor.digest, { by: 'me' }, io)
        }
        return readRecord(asked, given)
      })
      expect((await read(latest)).digest).toBe(second.descriptor.digest)
    })

    it('takes no tag back that somebody moved while the manifest was deleted and pushed', async () => {
      const other = versions[0] ?? single
      const { write } = store
      for (const condition of [undefined, { ifAbsent: true } as const]) {
        await pushImage(registry, single)
        vi.spyOn(store, 'write').mockImplementation(async (key, bytes, given) => {
          const written = await write(key, bytes, given)
          if (key.startsWith('t/')) {
            vi.restoreAllMocks()
            await registry.manifests.remove(app, single.descriptor.digest, { by: 'me' }, io)
            await pushImage(registry, other, latest)
          }
          return written
        })
        await pushManifest(registry, single, latest, { condition })
        expect((await read(latest)).digest).toBe(other.descriptor.digest)
        expect((await read(single.descriptor.digest)).digest).toBe(single.descriptor.digest)
        await registry.manifests.remove(app, latest, { by: 'me' }, io)
      }
    })

    it('lets no tag lead nowhere while it waits for others to see that a manifest is gone', async () => {
      await pushImage(registry, single, latest)
      const other = versions[0] ?? single
      const { remove } = store
      vi.spyOn(store, 'remove').mockImplementation(async (key, given) => {
        if (!key.startsWith('m/')) return remove(key, given)
        vi.restoreAllMocks()
        await pushManifest(registry, single, latest)
        return remove(key, given)
      })
      const waiting = vi.fn(async () => {
        for (const { bytes } of other.blobs) await pushBlob(registry, bytes)
        await pushManifest(registry, other, latest, { condition: { ifAbsent: true } })
      })
      store.everybodySees = waiting
      await registry.manifests.remove(app, single.descriptor.digest, { by: 'me' }, io)
      expect(waiting).toHaveBeenCalledOnce()
      expect((await read(latest)).digest).toBe(other.descriptor.digest)
    })
  })
}
