/** Manifests as tags lead to them: what most pulls begin with. */
import type { Io } from '../oci/io.ts'
import { manifestKey, type Rid } from './layout.ts'
import { type HeldManifest, heldManifest, readManifest } from './manifest-records.ts'
import type { ObjectStore } from './object-store.ts'
import type { HeldTag } from './tags.ts'

/** The manifest that a tag, as it is now, leads to. */
export type ReadTagged = (rid: Rid, tag: HeldTag, io: Io) => Promise<HeldManifest | undefined>

/**
 * A delete takes a manifest's tags before the manifest, and whoever pushes it again writes them anew. So a manifest that
 * was there when it was looked at by way of a tag is there, as it was, for as long as that tag is not written again: it
 * is looked at once. One that was being deleted then is not relied on. Nor is what a bucket said: see `isCurrent`.
 */
export function taggedManifests(store: ObjectStore): ReadTagged {
  /** By tags as they were read: the etags of the manifests that they led to. */
  const seen = new WeakMap<HeldTag['record'], string>()

  return async (rid, { record }, io) => {
    const digest = record.d
    const etag = seen.get(record)
    const known = etag === undefined ? undefined : store.recall?.(manifestKey(rid, digest))
    if (known && known.etag === etag) return heldManifest(known, digest)
    const held = await readManifest(store, rid, digest, io)
    if (held && !held.header.leaving && !store.remote) seen.set(record, held.record.etag)
    return held
  }
}
