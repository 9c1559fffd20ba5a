import { digestOfBytes } from '../oci/digest.ts'
import { isFault, RegistryError } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import { type Manifest, parseManifest } from '../oci/manifest.ts'
import {
  algorithmOf,
  type Digest,
  isDigest,
  type Reference,
  type RepositoryName,
  type Tag,
} from '../oci/names.ts'
import type { Blobs } from './blobs.ts'
import { manifestKey, type Rid } from './layout.ts'
import { encodeManifest, type HeldManifest, heldManifest, readManifest } from './manifest-records.ts'
import { manifestRemoval } from './manifest-removal.ts'
import type { MutationOptions, ObjectStore, StoredRecord } from './object-store.ts'
import { graceMs, inParallel, isFresh, operation, pause, update } from './record.ts'
import type { Referrers } from './referrers.ts'
import type { ManifestPush, ManifestStore, TagCondition } from './registry.ts'
import type { Repositories } from './repositories.ts'
import { taggedManifests } from './tagged-manifests.ts'
import { satisfies, type Tags } from './tags.ts'

/** What a manifest may name without its being here: nothing; children of an index; layers too. */
export type Sparse = 'none' | 'index' | 'any'

/**
 * A manifest pushed again so soon is not written again. Whoever deletes manifests by policy leaves those alone that
 * are younger than an hour, so that nothing acknowledged on the strength of an earlier write is taken away.
 */
const rewriteAfterMs = 30 * 60_000
/** How long a manifest may be in the making of its delete, until whoever began that is given up. */
const deletingMs = 30_000

export function manifests(
  store: ObjectStore,
  names: Repositories,
  blobs: Blobs,
  tags: Tags,
  referrers: Referrers,
  sparse: () => Sparse,
): ManifestStore {
  const removeManifest = manifestRemoval(store, tags, referrers)
  const readTagged = taggedManifests(store)
  const unknown = (name: RepositoryName, reference: Reference) =>
    new RegistryError('MANIFEST_UNKNOWN', { detail: { name, reference } })

  async function find(name: RepositoryName, reference: Reference, io: Io): Promise<HeldManifest> {
    const rid = await names.rid(name, io)
    for (let before: Digest | undefined; ; ) {
      const tag = isDigest(reference) ? undefined : await tags.find(rid, reference, io)
      const digest = isDigest(reference) ? reference : tag?.record.d
      const held = tag
        ? await readTagged(rid, tag, io)
        : digest && (await readManifest(store, rid, digest, io))
      if (held) return held
      // A tag may have been moved, and the manifest that it led to deleted, between the two looks.
      if (digest === undefined || digest === before || digest === reference) throw unknown(name, reference)
      before = digest
    }
  }

  /** A child manifest that can be relied on for half a day; an old one is written again. */
  async function confirmChild(
    rid: Rid,
    digest: Digest,
    options: MutationOptions,
  ): Promise<number | undefined> {
    const held = await readManifest(store, rid, digest, options)
    if (!held || isFresh(held.record)) return held?.record.modifiedMs
    const bytes = encodeManifest(held.header, held.bytes)
    const condition = { ifMatch: held.record.etag }
    const written = await store.write(manifestKey(rid, digest), bytes, { ...options, condition })
    return written ? written.modifiedMs : confirmChild(rid, digest, options)
  }

  /** Confirms all that a manifest names and returns the age of the oldest. MANIFEST_BLOB_UNKNOWN. */
  async function confirmAll(rid: Rid, manifest: Manifest, options: MutationOptions): Promise<number> {
    const found = await inParallel(manifest.blobs, 16, async digest => {
      const held = await blobs.confirm(rid, digest, options)
      return { digest, since: held?.record.modifiedMs, needed: sparse() !== 'any' }
    })
    const children = await inParallel(manifest.children, 16, async digest => {
      return { digest, since: await confirmChild(rid, digest, options), needed: sparse() === 'none' }
    })
    const all = [...found, ...children]
    const missing = all.filter(({ since, needed }) => needed && since === undefined)
    if (missing.length > 0)
      throw new RegistryError('MANIFEST_BLOB_UNKNOWN', { detail: missing.map(({ digest }) => ({ digest })) })
    return Math.min(Number.POSITIVE_INFINITY, ...all.map(({ since }) => since ?? Number.POSITIVE_INFINITY))
  }

  /** Writes the manifest's record, or leaves a young one alone; returns when it was written. */
  async function put(
    rid: Rid,
    digest: Digest,
    manifest: Manifest,
    push: ManifestPush,
    options: MutationOptions,
  ) {
    const header = { mt: manifest.mediaType, at: Date.now(), by: push.by, sub: manifest.subject }
    let [isLeaving, hasWaited] = [false, false]
    const renewed = (record: StoredRecord | undefined) => {
      const held = record && heldManifest(record, digest)
      if (held && held.header.mt !== manifest.mediaType)
        throw new RegistryError('MANIFEST_INVALID', {
          message: `manifest is known as ${held.header.mt} already`,
        })
      isLeaving = held?.header.leaving === true
      const isYoung = held && Date.now() - held.record.modifiedMs < rewriteAfterMs
      return (isLeaving ? !hasWaited : isYoung) ? undefined : encodeManifest(header, push.bytes)
    }
    for (;;) {
      const written = await update(store, manifestKey(rid, digest), renewed, options)
      if (written || !isLeaving) return written?.modifiedMs ?? Date.now()
      await untilDeleted(rid, digest, options)
      hasWaited = true
    }
  }

  /** A manifest that nobody is deleting; waits for whoever is, but not for one that has died. */
  async function untilDeleted(rid: Rid, digest: Digest, io: Io): Promise<HeldManifest | undefined> {
    for (const giveUpMs = Date.now() + deletingMs; ; ) {
      const held = await readManifest(store, rid, digest, io)
      if (!held?.header.leaving) return held
      if (Date.now() > giveUpMs) return undefined
      await pause()
      io.signal.throwIfAborted()
    }
  }

  /**
   * Whether a push is done. A delete that it meets comes after it, if it has taken all of its tags; or before, and then what
   * they lead to must be there again.
   */
  async function isDone(rid: Rid, digest: Digest, targets: readonly Tag[], io: Io): Promise<boolean> {
    if (await untilDeleted(rid, digest, io)) return true
    const left = await inParallel(targets, 4, tag => tags.resolve(rid, tag, io))
    return !left.includes(digest)
  }

  /** TAG_CHANGED, before anything is written. What names no tag is about the manifest itself. */
  async function checkCondition(
    rid: Rid,
    digest: Digest,
    targets: readonly Tag[],
    condition: TagCondition,
    io: Io,
  ): Promise<void> {
    if (targets.length > 0) {
      await inParallel(targets, 4, tag => tags.check(rid, tag, condition, io))
      return
    }
    const current = (await readManifest(store, rid, digest, io)) && digest
    if (!satisfies(condition, current))
      throw new RegistryError('TAG_CHANGED', { detail: { digest: current ?? null } })
  }

  return {
    async read(name, reference, io) {
      const { digest, header, bytes } = await find(name, reference, io)
      return { mediaType: header.mt, digest, size: bytes.length, bytes }
    },

    async write(name, reference, push, io) {
      const manifest = parseManifest(push.mediaType, push.bytes)
      const algorithm = isDigest(reference) ? algorithmOf(reference) : 'sha256'
      const digest = digestOfBytes(push.bytes, algorithm)
      if (isDigest(reference) && reference !== digest)
        throw new RegistryError('DIGEST_INVALID', {
          message: `digest did not match: expected ${reference}, got ${digest}`,
        })
      const targets = [...new Set(isDigest(reference) ? push.tags : [reference, ...push.tags])]
      if (push.condition && store.lax) throw new RegistryError('CONDITION_UNSUPPORTED')
      const rid = await names.ensure(name, io)
      if (push.condition) await checkCondition(rid, digest, targets, push.condition, io)
      // What the guard refuses is to leave nothing behind; it is asked again when the tag is written.
      const { guard } = push
      if (guard)
        await inParallel(targets, 4, async tag =>
          guard({ tag, from: await tags.resolve(rid, tag, io), to: digest }),
        )

      for (let isPointed = false; ; ) {
        const options = operation(io)
        const oldest = await confirmAll(rid, manifest, options)
        const written = await put(rid, digest, manifest, push, options)
        // What was confirmed must be young still at the moment the manifest appeared (W-manifest, docs/architecture.md).
        if (written >= oldest + graceMs) continue
        // Whoever deletes a blob marks it and then looks for manifests: one of the two sees the other.
        await confirmAll(rid, manifest, options)
        const { subject } = manifest
        if (subject) await referrers.add(rid, subject, manifest, { digest, size: push.bytes.length }, options)
        if (!isPointed) await inParallel(targets, 4, tag => tags.point(rid, tag, digest, push, options))
        isPointed = true
        // Whoever deletes a manifest marks it and then looks for what leads to it: one of the two sees the other.
        if (await isDone(rid, digest, targets, options)) return { digest, subject }
      }
    },

    async remove(name, reference, author, io) {
      const options = operation(io)
      if (!isDigest(reference)) {
        const removed = await tags.remove(await names.rid(name, io), reference, author, options)
        if (!removed) throw unknown(name, reference)
        return
      }
      const rid = await names.rid(name, io)
      if (!(await removeManifest(rid, reference, author, options))) throw unknown(name, reference)
    },

    async referrers(name, subject, page) {
      try {
        return await referrers.list(await names.rid(name, page), subject, page)
      } catch (error) {
        // Never 404: a client would fall back to the tag schema (Listing Referrers).
        if (isFault(error, 'NAME_UNKNOWN')) return { referrers: [] }
        throw error
      }
    },

    async tags(name, page) {
      return tags.list(await names.rid(name, page), page)
    },
  }
}
