import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { ObjectStore } from '../../storage/object-store.ts'
import type { Registry } from '../../storage/registry.ts'
import { artifact, image } from '../helpers/images.ts'
import { app, pushImage, pushManifest, registryOver, repo, tag } from '../helpers/local-registry.ts'
import { fault, io } from '../helpers/waiting.ts'
import type { AgingStore } from './blobs.ts'

const subject = image({ seed: 'subject', layers: [] })
const signatures = Array.from({ length: 7 }, (_, at) =>
  artifact(subject, at % 2 ? 'application/sbom' : 'application/signature', `text ${at}`),
)
const digests = signatures.map(({ descriptor }) => descriptor.digest).sort()
const [signature = subject] = signatures

export function describeReferrers(name: string, open: () => Promise<AgingStore>): void {
  describe(`${name} lists`, () => {
    let store: ObjectStore
    let registry: Registry
    beforeEach(async () => {
      ;({ store } = await open())
      registry = registryOver(store)
    })
    const list = (page: { limit?: number; after?: string; artifactType?: string } = {}) =>
      registry.manifests.referrers(app, subject.descriptor.digest, { ...io, limit: 100, ...page })
    const listed = async () => (await list()).referrers.map(({ digest }) => digest)

    it('referrers of a subject that is there, or not yet', async () => {
      expect(await list()).toEqual({ referrers: [] })
      for (const each of signatures) await pushImage(registry, each)
      expect(await listed()).toEqual(digests)
      await pushImage(registry, subject)
      const { referrers } = await list({ artifactType: 'application/signature' })
      expect(referrers).toHaveLength(4)
      for (const each of referrers) expect(each).toMatchObject({ artifactType: 'application/signature' })
    })

    it('referrers page by page', async () => {
      for (const each of signatures) await pushImage(registry, each)
      for (const artifactType of [undefined, 'application/sbom']) {
        const found: string[] = []
        for (let after: string | undefined, more = true; more; ) {
          const options = { limit: 2, ...(after && { after }), ...(artifactType && { artifactType }) }
          const page = await list(options)
          found.push(...page.referrers.map(({ digest }) => digest))
          after = page.next
          more = after !== undefined
        }
        expect(found).toEqual(
          (await list(artifactType ? { artifactType } : {})).referrers.map(each => each.digest),
        )
      }
    })

    it('no referrer that was deleted', async () => {
      for (const each of signatures) await pushImage(registry, each)
      await registry.manifests.remove(app, digests[3] ?? subject.descriptor.digest, { by: 'me' }, io)
      expect(await listed()).toEqual(digests.filter((_, at) => at !== 3))
    })

    it('what was pushed again while it was being deleted, with its tags', async () => {
      await pushImage(registry, signature, tag('old'))
      await pushManifest(registry, signature, tag('latest'))
      const remove = store.remove
      let pushes = 1
      vi.spyOn(store, 'remove').mockImplementation(async (key, options) => {
        const removed = await remove(key, options)
        if (key.startsWith('m/') && pushes-- > 0)
          await pushManifest(registryOver(store), signature, tag('latest'))
        return removed
      })
      await registry.manifests.remove(app, signature.descriptor.digest, { by: 'me' }, io)
      expect((await registry.manifests.read(app, tag('latest'), io)).digest).toBe(signature.descriptor.digest)
      expect((await registry.manifests.tags(app, { ...io, limit: 10 })).items).toEqual(['latest'])
      expect(await listed()).toEqual([signature.descriptor.digest])
    })

    it('repositories page by page, each after its parent', async () => {
      const names = ['a', 'a-b', 'a/b', 'a/b/c', 'a0', 'b']
      for (const each of names) await pushImage(registry, subject, undefined, repo(each))
      const inOrder = ['a', 'a/b', 'a/b/c', 'a-b', 'a0', 'b']
      expect((await registry.repositories({ ...io, limit: 10 })).items).toEqual(inOrder)
      const found: string[] = []
      for (let more = true; more; ) {
        const page = await registry.repositories({ ...io, limit: 2, after: found.at(-1) })
        found.push(...page.items)
        more = page.more
      }
      expect(found).toEqual(inOrder)
      const tags = registry.manifests.tags(repo('none'), { ...io, limit: 1 })
      await expect(tags).rejects.toMatchObject(fault('NAME_UNKNOWN'))
    })
  })
}
