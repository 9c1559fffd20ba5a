/** How a manifest goes with all that leads to it, while others push it (docs/decisions/0016-tags-before-manifest.md). */
import type { Io } from '../oci/io.ts'
import type { Digest } from '../oci/names.ts'
import { manifestKey, type Rid } from './layout.ts'
import { encodeManifest, type HeldManifest, readManifest } from './manifest-records.ts'
import type { MutationOptions, ObjectStore } from './object-store.ts'
import { inParallel } from './record.ts'
import type { Referrers } from './referrers.ts'
import type { TagAuthor } from './registry.ts'
import type { HeldTag, Tags } from './tags.ts'

/** A tag or an entry among the referrers is only as good as the manifest it leads to. */
interface Traces {
  readonly entry: { readonly subject: Digest; readonly etag: string } | undefined
  readonly tags: readonly HeldTag[]
}

/** False where there is none. What the author's guard throws ends it. */
type RemoveManifest = (
  rid: Rid,
  digest: Digest,
  author: TagAuthor,
  options: MutationOptions,
) => Promise<boolean>

export function manifestRemoval(store: ObjectStore, tags: Tags, referrers: Referrers): RemoveManifest {
  /** What leads to a manifest, each as it is now. */
  async function tracesOf(rid: Rid, digest: Digest, subject: Digest | undefined, io: Io): Promise<Traces> {
    const entry = subject && (await referrers.etagOf(rid, subject, digest, io))
    return {
      entry: subject && entry ? { subject, etag: entry } : undefined,
      tags: await tags.pointingTo(rid, digest, io),
    }
  }

  /** Removes those that are still as they were found: a push writes its own again. */
  async function drop(
    rid: Rid,
    digest: Digest,
    { entry, tags: held }: Traces,
    by: string,
    options: MutationOptions,
  ) {
    if (entry) await referrers.remove(rid, entry.subject, digest, entry.etag, options)
    await inParallel(held, 16, tag => tags.drop(rid, tag, by, options))
  }

  /** Leads nowhere any more: whoever removed the manifest before may not have got to it. */
  async function forget(rid: Rid, digest: Digest, by: string, options: MutationOptions): Promise<void> {
    const left = await tracesOf(rid, digest, undefined, options)
    // Whoever has pushed it since has written its tags after it.
    if (!(await readManifest(store, rid, digest, options))) await drop(rid, digest, left, by, options)
  }

  return async (rid, digest, { by, guard, told }, options) => {
    const key = manifestKey(rid, digest)
    const ifMatch = (etag: string) => ({ ...options, condition: { ifMatch: etag } })
    const find = async (subject: Digest | undefined) => {
      const traces = await tracesOf(rid, digest, subject, options)
      for (const { tag } of traces.tags) guard?.({ tag, from: digest, to: undefined })
      return traces
    }
    const mark = async ({ header, record, bytes }: HeldManifest) => {
      if (header.leaving) return record.etag
      const leaving = encodeManifest({ ...header, leaving: true }, bytes)
      return (await store.write(key, leaving, ifMatch(record.etag)))?.etag
    }

    for (;;) {
      const held = await readManifest(store, rid, digest, options)
      if (!held) {
        await forget(rid, digest, by, options)
        return false
      }
      // What is refused is not marked either.
      if (guard) await find(undefined)
      const marked = await mark(held)
      if (marked === undefined) continue
      await store.everybodySees?.(options)
      // What leads to it first: whoever dies in between leaves a manifest without a tag, and no tag without a manifest.
      for (let left = await find(held.header.sub); leads(left); left = await find(held.header.sub)) {
        for (const { tag } of left.tags) told?.({ tag, from: digest, to: undefined })
        await drop(rid, digest, left, by, options)
      }
      if (await store.remove(key, ifMatch(marked))) return true
    }
  }
}

const leads = ({ entry, tags }: Traces) => entry !== undefined || tags.length > 0
