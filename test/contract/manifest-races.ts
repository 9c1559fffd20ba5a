/** Pushes, reads and deletes of one manifest or tag that meet. */
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { ObjectStore } from '../../storage/object-store.ts'
import type { Registry } from '../../storage/registry.ts'
import { image } from '../helpers/images.ts'
import { app, pushImage, pushManifest, registryOver, tag } from '../helpers/local-registry.ts'
import { pause } from '../helpers/until.ts'
import { fault, io } from '../helpers/waiting.ts'
import type { AgingStore } from './blobs.ts'

const single = image({ seed: 'manifest', layers: [100] })
const latest = tag('latest')
const unknown = fault('MANIFEST_UNKNOWN')
const waiting = (ms: number) => pause(ms).then(() => 'waiting')
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
        // It came before the delete.
        await pushManifest(registry, single, latest, { condition })
        expect((await read(latest)).digest).toBe(other.descriptor.digest)
        await expect(read(single.descriptor.digest)).rejects.toMatchObject(unknown)
        await registry.manifests.remove(app, latest, { by: 'me' }, io)
      }
    })

    it('lets no tag lead nowhere that is pushed while it waits for others to see what it deletes', async () => {
      await pushImage(registry, single, latest)
      const { read: readRecord } = store
      const before = new Map<string, Awaited<ReturnType<typeof readRecord>>>()
      vi.spyOn(store, 'read').mockImplementation(async (key, given) => {
        const found = await readRecord(key, given)
        if (key.startsWith('m/') && !before.has(key)) before.set(key, found)
        return found
      })
      store.everybodySees = async () => {
        expect((await read(latest)).digest).toBe(single.descriptor.digest)
        // As somebody does who has not seen the mark yet.
        vi.mocked(store.read).mockImplementation(
          async (key, given) => before.get(key) ?? readRecord(key, given),
        )
        await pushManifest(registry, single, tag('unaware'))
        vi.restoreAllMocks()
      }
      await registry.manifests.remove(app, single.descriptor.digest, { by: 'me' }, io)
      await expect(read(single.descriptor.digest)).rejects.toMatchObject(unknown)
      expect((await registry.manifests.tags(app, { ...io, limit: 10 })).items).toEqual([])
    })

    it('keeps what is pushed by somebody who has waited for the end of a delete', async () => {
      await pushImage(registry, single, latest)
      let push: Promise<unknown> = Promise.resolve()
      store.everybodySees = async () => {
        push = pushManifest(registry, single, tag('after'))
      }
      await registry.manifests.remove(app, single.descriptor.digest, { by: 'me' }, io)
      await push
      expect((await read(tag('after'))).digest).toBe(single.descriptor.digest)
      expect((await registry.manifests.tags(app, { ...io, limit: 10 })).items).toEqual(['after'])
    })

    it('does not wait for ever for somebody who died while deleting', async () => {
      await pushImage(registry, single, latest)
      const { remove } = store
      vi.spyOn(store, 'remove').mockRejectedValue(new Error('cut off'))
      const removal = registry.manifests.remove(app, single.descriptor.digest, { by: 'me' }, io)
      await expect(removal).rejects.toThrow('cut off')
      store.remove = remove
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
      onTestFinished(() => void vi.useRealTimers())
      const push = pushManifest(registry, single, tag('again'))
      await expect(Promise.race([push, waiting(100)])).resolves.toBe('waiting')
      vi.setSystemTime(Date.now() + 31_000)
      await push
      expect((await read(tag('again'))).digest).toBe(single.descriptor.digest)
    })

    it('ends for two who delete the same at once', async () => {
      await pushImage(registry, single, latest)
      const remove = () => registry.manifests.remove(app, single.descriptor.digest, { by: 'me' }, io)
      const ends = await Promise.allSettled([remove(), pause(20).then(remove)])
      for (const end of ends) if (end.status === 'rejected') expect(end.reason).toMatchObject(unknown)
      expect(ends.map(({ status }) => status)).toContain('fulfilled')
      await expect(read(single.descriptor.digest)).rejects.toMatchObject(unknown)
      expect((await registry.manifests.tags(app, { ...io, limit: 10 })).items).toEqual([])
    })
  })
}
