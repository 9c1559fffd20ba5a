/** How a manifest goes with all that leads to it, while others push it (docs/decisions/0016-tags-before-manifest.md). */
import type { Io } from '../oci/io.ts'
import type { Digest } from '../oci/names.ts'
import { manifestKey, type Rid } from './layout.ts'
import { encodeManifest, readManifest } from './manifest-records.ts'
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

  return async (rid, digest, author, options) => {
    const { by, guard, told } = author
    const key = manifestKey(rid, digest)
    const ifMatch = (etag: string) => ({ ...options, condition: { ifMatch: etag } })
    const find = async (subject: Digest | undefined) => {
      const traces = await tracesOf(rid, digest, subject, options)
      for (const { tag } of traces.tags) guard?.({ tag, from: digest, to: undefined })
      return traces
    }
    const take = async (traces: Traces) => {
      for (const { tag } of traces.tags) told?.({ tag, from: digest, to: undefined })
      await drop(rid, digest, traces, by, options)
    }
    for (;;) {
      const held = await readManifest(store, rid, digest, options)
      if (!held) {
        await forget(rid, digest, by, options)
        return false
      }
      const before = await find(undefined)
      const mark = (etag: string) => {
        const leaving = encodeManifest({ ...held.header, leaving: true }, held.bytes)
        return store.write(key, leaving, ifMatch(etag))
      }
      // Marked before the look: whoever points a tag to it that is not seen then sees the mark, and pushes it again.
      const marked = await mark(held.record.etag)
      if (!marked) continue
      await store.everybodySees?.(options)
      const traces = await find(held.header.sub)
      // Once more: what was found is of nobody who has pushed it since.
      const still = await mark(marked.etag)
      if (still) {
        // What leads to it first: whoever dies in between leaves a manifest without a tag, and no tag without a manifest.
        await take(traces)
        if (await store.remove(key, ifMatch(still.etag))) return true
      }
      const since = await readManifest(store, rid, digest, options)
      // Only touched, or another removes it too.
      if (!since || since.header.leaving) continue
      // It was pushed since, and stays; so do the tags that were.
      await take(before)
      return true
    }
  }
}
