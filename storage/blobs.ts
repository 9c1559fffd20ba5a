import { RegistryError } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import type { Digest, RepositoryName } from '../oci/names.ts'
import { linkKey, linkPrefix, placementKey, placementPrefix, type Rid } from './layout.ts'
import type { MutationOptions, ObjectStore, StoredRecord } from './object-store.ts'
import { decodeRecord, encodeRecord, isFresh, operation, update } from './record.ts'
import type { Blob, BlobStore } from './registry.ts'
import type { Repositories } from './repositories.ts'

/**
 * A repository's claim on a blob: where its bytes lie (`k`), or the bytes themselves (`i`, base64). `repo` is its
 * repository's name, for those who come from the digest. `leaving`: being deleted, or so it was when a process died:
 * can be read still, but nobody may rely on it.
 */
interface Link {
  readonly s: number
  readonly k?: string
  readonly i?: string
  readonly repo: RepositoryName
  readonly leaving?: true
}

/** Where bytes with a digest lie. `frozen`: about to be collected; links that exist still work, new ones are refused. */
interface Placement {
  readonly k: string
  readonly s: number
  readonly st: 'live' | 'frozen'
}

/** Blobs up to here live in their links: one write to commit, one read to serve. */
export const inlineBytes = 16 * 1024

/** A link with what it takes to rewrite it. */
export interface HeldLink {
  readonly record: StoredRecord
  readonly size: number
}

/** What the rest of storage may do with blobs; the writers' rules are kept here. */
export interface Blobs extends BlobStore {
  /**
   * Finds a link that can be relied on for half a day (rule W-head): an old one is written again, if its bytes are not
   * about to be collected. Undefined: the blob must be sent.
   */
  confirm(rid: Rid, digest: Digest, options: MutationOptions): Promise<HeldLink | undefined>
  /** Links bytes that are small enough to live in the link. */
  commitInline(
    rid: Rid,
    name: RepositoryName,
    digest: Digest,
    bytes: Buffer,
    options: MutationOptions,
  ): Promise<void>
  /** Links content: what lies there already, else what `complete` makes (rule W-commit). True if `complete` was called. */
  commit(
    rid: Rid,
    name: RepositoryName,
    blob: Blob,
    complete: () => Promise<string>,
    options: MutationOptions,
  ): Promise<boolean>
}

export function blobs(
  store: ObjectStore,
  names: Repositories,
  isReferenced: (rid: Rid, digest: Digest, io: Io) => Promise<boolean>,
): Blobs {
  /** Writes a link, whatever stands there; another writer's link for the same digest is as good as ours. */
  async function writeLink(rid: Rid, digest: Digest, link: Link, options: MutationOptions): Promise<void> {
    const key = linkKey(digest, rid)
    const bytes = encodeRecord({ ...link, at: Date.now() })
    if (link.i !== undefined && (await store.overwrite?.(key, bytes, options))) return
    if (await store.write(key, bytes, { ...options, condition: { ifAbsent: true } })) return
    await update(store, key, () => bytes, options)
  }

  const isLive = async (digest: Digest, contentKey: string, io: Io) => {
    const record = await store.read(placementKey(digest, contentKey), io)
    return record !== undefined && decodeRecord<Placement>(record).st === 'live'
  }

  async function holds({ k, s }: Placement, io: Io): Promise<boolean> {
    const content = await store.open(k, { ...io, range: { start: 0, end: 0 } })
    if (content?.kind === 'file') content.close()
    if (content?.kind === 'stream') content.stream.destroy()
    return content?.size === s
  }

  async function livePlacement(digest: Digest, size: number, io: Io): Promise<string | undefined> {
    const { keys } = await store.list(placementPrefix(digest), { signal: io.signal, limit: 16 })
    for (const key of keys) {
      const record = await store.read(key, io)
      const placement = record && decodeRecord<Placement>(record)
      // What a disk has lost is made whole again by who pushes it.
      if (placement?.st === 'live' && placement.s === size && (await holds(placement, io))) return placement.k
    }
    return undefined
  }

  async function readLink(name: RepositoryName, digest: Digest, io: Io) {
    const record = await store.read(linkKey(digest, await names.rid(name, io)), io)
    if (!record) throw new RegistryError('BLOB_UNKNOWN', { detail: { digest } })
    return { record, link: decodeRecord<Link>(record) }
  }

  const self: Blobs = {
    async stat(name, digest, io) {
      const { record, link } = await readLink(name, digest, io)
      if (isFresh(record) && !link.leaving) return { digest, size: link.s }
      const held = await self.confirm(await names.rid(name, io), digest, operation(io))
      if (!held) throw new RegistryError('BLOB_UNKNOWN', { detail: { digest } })
      return { digest, size: held.size }
    },

    async find(name, digest, io) {
      const { link } = await readLink(name, digest, io)
      const { s: size, k, i } = link
      return {
        digest,
        size,
        open: async reading => {
          if (i !== undefined) return { kind: 'bytes', size, bytes: Buffer.from(i, 'base64') }
          const content = k === undefined ? undefined : await store.open(k, reading)
          if (content?.size === size) return content
          if (content?.kind === 'file') content.close()
          if (content?.kind === 'stream') content.stream.destroy()
          throw new Error(`content ${k} of ${digest} is ${content ? 'damaged' : 'missing'}`)
        },
        locate: async asking => (k === undefined ? undefined : store.locate?.(k, size, asking)),
      }
    },

    async mount(from, to, digest, io) {
      const options = operation(io)
      const source = await store.read(linkKey(digest, await names.rid(from, io)), io)
      if (!source) return false
      const link = decodeRecord<Link>(source)
      if (link.leaving) return false
      // The placement is read always, however young the link: a collector may have frozen it (rule W-mount).
      if (link.k !== undefined && !(await isLive(digest, link.k, io))) return false
      await writeLink(await names.ensure(to, io), digest, { ...link, repo: to }, options)
      return true
    },

    async holders(digest, { signal, limit }) {
      const { keys } = await store.list(linkPrefix(digest), { signal, limit })
      const found = []
      for (const key of keys) {
        const record = await store.read(key, { signal })
        const repo = record && decodeRecord<Link>(record).repo
        if (repo !== undefined) found.push(repo)
      }
      return found
    },

    async remove(name, digest, io) {
      const options = operation(io)
      const { record, link } = await readLink(name, digest, io)
      const { leaving: _, ...staying } = link
      const rid = await names.rid(name, io)
      const key = linkKey(digest, rid)
      const busy = () =>
        new RegistryError('BLOB_IN_USE', { message: 'blob is being pushed', detail: { digest } })
      const ifMatch = (etag: string) => ({ ...options, condition: { ifMatch: etag } })
      // Marked before the look: a manifest that is not seen then has not been acknowledged, and will not be.
      const marked = await store.write(key, encodeRecord({ ...link, leaving: true }), ifMatch(record.etag))
      if (!marked) throw busy()
      await store.everybodySees?.(options)
      if (await isReferenced(rid, digest, io)) {
        await store.write(key, encodeRecord({ ...staying }), ifMatch(marked.etag))
        throw new RegistryError('BLOB_IN_USE', { detail: { digest } })
      }
      if (!(await store.remove(key, ifMatch(marked.etag)))) throw busy()
    },

    async confirm(rid, digest, options) {
      const key = linkKey(digest, rid)
      const record = await store.read(key, options)
      if (!record) return undefined
      const link = decodeRecord<Link>(record)
      if (link.leaving) return undefined
      if (isFresh(record)) return { record, size: link.s }
      if (link.k !== undefined && !(await isLive(digest, link.k, options))) return undefined
      const bytes = encodeRecord({ ...link, at: Date.now() })
      const touched = await store.write(key, bytes, { ...options, condition: { ifMatch: record.etag } })
      // Somebody else wrote or removed it in between: what stands there now counts.
      return touched
        ? { record: { ...record, ...touched }, size: link.s }
        : self.confirm(rid, digest, options)
    },

    async commitInline(rid, name, digest, bytes, options) {
      await writeLink(rid, digest, { s: bytes.length, i: bytes.toString('base64'), repo: name }, options)
    },

    async commit(rid, name, { digest, size }, complete, options) {
      const existing = await livePlacement(digest, size, options)
      const k = existing ?? (await complete())
      if (existing === undefined) {
        const placement = encodeRecord({ k, s: size, st: 'live', at: Date.now() })
        await store.write(placementKey(digest, k), placement, { ...options, condition: { ifAbsent: true } })
      }
      await writeLink(rid, digest, { s: size, k, repo: name }, options)
      return existing === undefined
    },
  }
  return self
}
