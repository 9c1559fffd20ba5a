import type { Io } from '../oci/io.ts'
import type { Descriptor, Manifest } from '../oci/manifest.ts'
import type { Digest } from '../oci/names.ts'
import { type Rid, referrerKey, referrerPrefix } from './layout.ts'
import type { MutationOptions, ObjectStore } from './object-store.ts'
import { decodeRecord, encodeRecord, inParallel, update } from './record.ts'
import type { ReferrersPage } from './registry.ts'

/**
 * Who refers to whom: one entry for each referrer. A push writes its entry again, with a new etag, so that a delete
 * that found it before leaves it alone.
 */
export interface Referrers {
  add(
    rid: Rid,
    subject: Digest,
    manifest: Manifest,
    self: Pick<Descriptor, 'digest' | 'size'>,
    options: MutationOptions,
  ): Promise<void>
  /** What `remove` needs to remove an entry as it is now; undefined where there is none. */
  etagOf(rid: Rid, subject: Digest, digest: Digest, io: Io): Promise<string | undefined>
  /** Removes an entry unless a push has written it since. */
  remove(rid: Rid, subject: Digest, digest: Digest, etag: string, options: MutationOptions): Promise<void>
  list(rid: Rid, subject: Digest, page: ReferrersPage): Promise<{ referrers: Descriptor[]; next?: string }>
}

/** A page of referrers is a manifest too, and clients may refuse a larger one (4 MiB, Pushing Manifests). */
const maxPageBytes = 4 * 1024 * 1024 - 1024
/** Entries looked at for one page, however few of them pass the filter. */
const maxPageReads = 1000

export function referrers(store: ObjectStore): Referrers {
  const entry = async (key: string, io: Io) => {
    const record = await store.read(key, io)
    return (
      record && {
        key,
        bytes: record.bytes.length,
        descriptor: decodeRecord<{ descriptor: Descriptor }>(record).descriptor,
      }
    )
  }

  return {
    async add(rid, subject, { mediaType, artifactType, annotations }, { digest, size }, options) {
      const descriptor = {
        mediaType,
        digest,
        size,
        ...(artifactType && { artifactType }),
        ...(annotations && { annotations }),
      }
      await update(store, referrerKey(rid, subject, digest), () => encodeRecord({ descriptor }), options)
    },

    async etagOf(rid, subject, digest, io) {
      return (await store.read(referrerKey(rid, subject, digest), io))?.etag
    },

    async remove(rid, subject, digest, etag, options) {
      await store.remove(referrerKey(rid, subject, digest), { ...options, condition: { ifMatch: etag } })
    },

    async list(rid, subject, { after, limit, signal, artifactType }) {
      const prefix = referrerPrefix(rid, subject)
      const from = after === undefined ? {} : { after: prefix + after }
      const page = await store.list(prefix, { ...from, limit: maxPageReads, signal })
      const entries = await inParallel(page.keys, 32, key => entry(key, { signal }))
      const found: Descriptor[] = []
      let bytes = 0
      let last: string | undefined
      for (const each of entries) {
        if (!each) continue
        const wanted = artifactType === undefined || each.descriptor.artifactType === artifactType
        if (wanted && found.length > 0 && (found.length === limit || bytes + each.bytes > maxPageBytes))
          return { referrers: found, ...(last && { next: last }) }
        last = each.key.slice(prefix.length)
        if (!wanted) continue
        found.push(each.descriptor)
        bytes += each.bytes
      }
      return { referrers: found, ...(page.more && last && { next: last }) }
    },
  }
}
