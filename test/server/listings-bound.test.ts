/** However many there are, and whoever made them, a page of them costs the same (auth-security 3.3, rows 29 and 45). */
import { beforeAll, expect, it } from 'vitest'
import { referrerKey, ridOf, tagKey } from '../../storage/layout.ts'
import { memoryStore } from '../../storage/memory.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { encodeRecord } from '../../storage/record.ts'
import { send } from '../helpers/http.ts'
import { artifact, digest, image } from '../helpers/images.ts'
import { app, pushImage, registryOver, repo, tag } from '../helpers/local-registry.ts'
import { startRegistry } from '../helpers/registry.ts'
import { soon } from '../helpers/waiting.ts'

const count = 100_000
const subject = image({ seed: 'subject', layers: [] })
const of = subject.descriptor.digest
const kept = memoryStore()
let reads = 0
const store: ObjectStore = {
  ...kept,
  read(key, io) {
    if (key.startsWith('ref/') || key.startsWith('t/')) reads++
    return kept.read(key, io)
  },
}

beforeAll(async () => {
  await pushImage(registryOver(kept), subject, tag('latest'))
  const rid = ridOf('test', app, 0)
  for (let at = 0; at < count; at++) {
    const self = digest(Buffer.from(String(at)))
    const artifactType = at % 1_000 === 0 ? 'application/rare' : 'application/usual'
    const descriptor = { mediaType: subject.descriptor.mediaType, digest: self, size: 1, artifactType }
    const record = encodeRecord({ descriptor })
    await kept.write(referrerKey(rid, of, self), record, soon({ ifAbsent: true }))
    const tagged = encodeRecord({ d: of, at: 1, by: 'me' })
    await kept.write(tagKey(rid, tag(`v${at}`)), tagged, soon({ ifAbsent: true }))
  }
}, 60_000)

interface Page {
  readonly manifests: readonly { readonly digest: string; readonly artifactType: string }[]
}

const most = { entries: 1_000, bytes: 4 * 1024 * 1024 }

it('answers a page of a hundred thousand, and where the next one is', { timeout: 60_000 }, async () => {
  await using server = await startRegistry({ store })
  const seen = new Set<string>()
  for (const asked of ['', '?n=100000', '?n=7', `?n=500&last=sha256-${'8'.repeat(64)}`]) {
    reads = 0
    const { status, text, headers } = await send(server.address, `/v2/${app}/referrers/${of}${asked}`)
    expect(status).toBe(200)
    expect(text.length).toBeLessThanOrEqual(most.bytes)
    const { manifests } = JSON.parse(text) as Page
    expect(manifests.length).toBeGreaterThan(0)
    expect(manifests.length).toBeLessThanOrEqual(most.entries)
    expect(headers.link).toMatch(/^<[^>]+\/referrers\/[^>]+>; rel="next"$/)
    expect(reads).toBeLessThanOrEqual(most.entries)
    for (const each of manifests) seen.add(each.digest)
  }
  expect(seen.size).toBeGreaterThan(most.entries)
})

it('looks at no more for a type that is rare, or that nobody has', { timeout: 60_000 }, async () => {
  await using server = await startRegistry({ store })
  for (const type of ['application/rare', 'application/none']) {
    reads = 0
    const path = `/v2/${app}/referrers/${of}?artifactType=${encodeURIComponent(type)}`
    const { status, text, headers } = await send(server.address, path)
    expect(status).toBe(200)
    expect(headers['oci-filters-applied']).toBe('artifactType')
    expect(headers.link).toContain('rel="next"')
    expect((JSON.parse(text) as Page).manifests.every(each => each.artifactType === type)).toBe(true)
    expect(reads).toBeLessThanOrEqual(most.entries)
  }
})

it('answers a page of a hundred thousand tags without reading one of them', { timeout: 60_000 }, async () => {
  await using server = await startRegistry({ store })
  for (const asked of ['', '?n=1000000000', '?n=7&last=v5', '?last=zzz']) {
    reads = 0
    const { status, text, headers } = await send(server.address, `/v2/${app}/tags/list${asked}`)
    expect(status).toBe(200)
    const { tags } = JSON.parse(text) as { readonly tags: readonly string[] }
    expect(tags.length).toBeLessThanOrEqual(10_000)
    expect(tags.length > 0).toBe(headers.link !== undefined)
    expect(reads).toBe(0)
  }
})

it('counts nobody who refers to it from another repository', async () => {
  const registry = registryOver(memoryStore())
  await pushImage(registry, subject, tag('latest'))
  await pushImage(registry, artifact(subject, 'a/b', 'elsewhere'), undefined, repo('other/app'))
  const page = { limit: 10, signal: AbortSignal.timeout(5_000) }
  expect(await registry.manifests.referrers(app, of, page)).toEqual({ referrers: [] })
  expect((await registry.manifests.referrers(repo('other/app'), of, page)).referrers).toHaveLength(1)
})
