import { RegistryError } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import type { Digest, Tag } from '../oci/names.ts'
import { deletedTagKey, type Rid, tagKey, tagOfKey, tagPrefix } from './layout.ts'
import type { MutationOptions, ObjectStore } from './object-store.ts'
import { decodeRecord, encodeRecord, inParallel } from './record.ts'
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

/** Two that write one tag at once try again after a moment of their own. */
const pause = () => new Promise(wake => setTimeout(wake, Math.random() * 10))

/** Whether a tag, or a manifest, that is at this digest may be pushed. */
export function satisfies(condition: TagCondition, current: Digest | undefined): boolean {
  if ('ifAbsent' in condition) return current === undefined
  return current !== undefined && (condition.ifDigest.includes(current) || condition.ifDigest.includes('*'))
}

function refuseUnless(condition: TagCondition | undefined, tag: Tag, found: HeldTag | undefined): void {
  if (condition && !satisfies(condition, found?.record.d))
    throw new RegistryError('TAG_CHANGED', { detail: { tag, digest: found?.record.d ?? null } })
}

export function tags(store: ObjectStore): Tags {
  async function find(rid: Rid, tag: Tag, io: Io): Promise<HeldTag | undefined> {
    const record = await store.read(tagKey(rid, tag), io)
    return record && { tag, etag: record.etag, record: decodeRecord<TagRecord>(record) }
  }

  const self: Tags = {
    async resolve(rid, tag, io) {
      return (await find(rid, tag, io))?.record.d
    },

    async check(rid, tag, condition, io) {
      refuseUnless(condition, tag, await find(rid, tag, io))
    },

    async point(rid, tag, to, { by, condition, guard }, options) {
      for (;;) {
        const found = await find(rid, tag, options)
        refuseUnless(condition, tag, found)
        guard?.({ tag, from: found?.record.d, to })
        const { d, at, by: who, rev = 0, h = [] } = found?.record ?? {}
        const past =
          d && at && who !== undefined && d !== to ? [{ d, at, by: who }, ...h].slice(0, historyLength) : h
        const bytes = encodeRecord({ d: to, at: Date.now(), by, rev: rev + 1, h: past })
        const unchanged = found ? { ifMatch: found.etag } : { ifAbsent: true as const }
        if (await store.write(tagKey(rid, tag), bytes, { ...options, condition: unchanged })) return
        await pause()
      }
    },

    async remove(rid, tag, { by, guard }, options) {
      for (;;) {
        const found = await find(rid, tag, options)
        if (!found) return false
        guard?.({ tag, from: found.record.d, to: undefined })
        if (await self.drop(rid, found, by, options)) return true
        await pause()
      }
    },

    async drop(rid, { tag, etag, record }, by, options) {
      const deleted = encodeRecord({ ...record, deleted: { at: Date.now(), by } })
      await store.write(deletedTagKey(rid, tag), deleted, options)
      return store.remove(tagKey(rid, tag), { ...options, condition: { ifMatch: etag } })
    },

    async pointingTo(rid, digest, { signal }) {
      const found: HeldTag[] = []
      for (let after: string | undefined, more = true; more; ) {
        const page = await store.list(tagPrefix(rid), {
          signal,
          limit: 1000,
          ...(after && { after }),
        })
        const held = await inParallel(page.keys, 16, key => find(rid, tagOfKey(key), { signal }))
        found.push(...held.filter(each => each !== undefined).filter(({ record }) => record.d === digest))
        more = page.more
        after = page.keys.at(-1)
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
