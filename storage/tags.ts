import { RegistryError } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import type { Digest, Tag } from '../oci/names.ts'
import { deletedTagKey, type Rid, tagKey, tagOfKey, tagPrefix } from './layout.ts'
import type { MutationOptions, ObjectStore, StoredRecord } from './object-store.ts'
import { everyKey } from './pages.ts'
import { decodeRecord, encodeRecord, inParallel, pause, update } from './record.ts'
import type { Listing, Page, TagAuthor, TagCondition } from './registry.ts'

interface Past {
  readonly d: Digest
  readonly at: number
  readonly by: string
}

/** What a tag points to (`d`), since when and by whom, how often it was written, and what it pointed to before. */
interface TagRecord extends Past {
  readonly rev: number
  readonly h: readonly Past[]
}

const historyLength = 16

/** A tag with what it takes to remove it as it is. */
export interface HeldTag {
  readonly tag: Tag
  readonly etag: string
  readonly record: TagRecord
}

export interface Tags {
  /** As it is now; the same record as before where it has not been written since. */
  find(rid: Rid, tag: Tag, io: Io): Promise<HeldTag | undefined>
  resolve(rid: Rid, tag: Tag, io: Io): Promise<Digest | undefined>
  /** Points a tag to a manifest; of two that do so at once both succeed and the last stays. TAG_CHANGED. */
  point(
    rid: Rid,
    tag: Tag,
    to: Digest,
    push: TagAuthor & { readonly condition?: TagCondition | undefined },
    options: MutationOptions,
  ): Promise<void>
  /** TAG_CHANGED unless a tag is what it is said to be. */
  check(rid: Rid, tag: Tag, condition: TagCondition, io: Io): Promise<void>
  /** False if there is no such tag. */
  remove(rid: Rid, tag: Tag, author: TagAuthor, options: MutationOptions): Promise<boolean>
  /** Every tag that points to a manifest, as it is now. */
  pointingTo(rid: Rid, digest: Digest, io: Io): Promise<readonly HeldTag[]>
  /** Removes a tag that is still as it was found. */
  drop(rid: Rid, held: HeldTag, by: string, options: MutationOptions): Promise<boolean>
  list(rid: Rid, page: Page): Promise<Listing<Tag>>
}

/** Whether a tag, or a manifest, that is at this digest may be pushed. */
export function satisfies(condition: TagCondition, current: Digest | undefined): boolean {
  if ('ifAbsent' in condition) return current === undefined
  return current !== undefined && ('ifPresent' in condition || condition.ifDigest.includes(current))
}

function refuseUnless(condition: TagCondition | undefined, tag: Tag, current: Digest | undefined): void {
  if (condition && !satisfies(condition, current))
    throw new RegistryError('TAG_CHANGED', { detail: { tag, digest: current ?? null } })
}

/** What a tag that is pointed to a manifest has pointed to before. */
function pastOf(before: TagRecord | undefined, to: Digest): readonly Past[] {
  if (!before || before.d === to) return before?.h ?? []
  const { d, at, by, h } = before
  return [{ d, at, by }, ...h].slice(0, historyLength)
}

export function tags(store: ObjectStore): Tags {
  async function find(rid: Rid, tag: Tag, io: Io): Promise<HeldTag | undefined> {
    const record = await store.read(tagKey(rid, tag), io)
    return record && { tag, etag: record.etag, record: decodeRecord<TagRecord>(record) }
  }

  const self: Tags = {
    find,

    async resolve(rid, tag, io) {
      return (await find(rid, tag, io))?.record.d
    },

    async check(rid, tag, condition, io) {
      refuseUnless(condition, tag, await self.resolve(rid, tag, io))
    },

    async point(rid, tag, to, { by, condition, guard, told }, options) {
      const pointed = (found: StoredRecord | undefined) => {
        const before = found && decodeRecord<TagRecord>(found)
        refuseUnless(condition, tag, before?.d)
        guard?.({ tag, from: before?.d, to })
        told?.({ tag, from: before?.d, to })
        return encodeRecord({ d: to, at: Date.now(), by, rev: (before?.rev ?? 0) + 1, h: pastOf(before, to) })
      }
      await update(store, tagKey(rid, tag), pointed, options)
    },

    async remove(rid, tag, { by, guard, told }, options) {
      for (;;) {
        const found = await find(rid, tag, options)
        if (!found) return false
        guard?.({ tag, from: found.record.d, to: undefined })
        told?.({ tag, from: found.record.d, to: undefined })
        if (await self.drop(rid, found, by, options)) return true
        await pause()
      }
    },

    async drop(rid, { tag, etag, record }, by, options) {
      const deleted = encodeRecord({ ...record, deleted: { at: Date.now(), by } })
      await store.write(deletedTagKey(rid, tag), deleted, options)
      return store.remove(tagKey(rid, tag), { ...options, condition: { ifMatch: etag } })
    },

    async pointingTo(rid, digest, io) {
      const found: HeldTag[] = []
      for await (const keys of everyKey(store, tagPrefix(rid), io)) {
        const held = await inParallel(keys, 16, key => find(rid, tagOfKey(key), io))
        found.push(...held.filter(each => each !== undefined).filter(({ record }) => record.d === digest))
      }
      return found
    },

    async list(rid, { after, limit, signal }) {
      const start = after === undefined ? {} : { after: tagPrefix(rid) + after }
      const { keys, more } = await store.list(tagPrefix(rid), { ...start, limit, signal })
      return { items: keys.map(tagOfKey), more }
    },
  }
  return self
}
