import { RegistryError } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import type { Digest, Tag } from '../oci/names.ts'
import { deletedTagKey, type Rid, tagKey, tagOfKey, tagPrefix } from './layout.ts'
import type { MutationOptions, ObjectStore } from './object-store.ts'
import { decodeRecord, encodeRecord, inParallel } from './record.ts'
import type { Listing, Page, TagCondition } from './registry.ts'

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

export interface Tags {
  resolve(rid: Rid, tag: Tag, io: Io): Promise<Digest | undefined>
  /** Points a tag to a manifest; of two that do so at once both succeed and the last stays. TAG_CHANGED. */
  point(
    rid: Rid,
    tag: Tag,
    to: Digest,
    by: string,
    condition: TagCondition | undefined,
    options: MutationOptions,
  ): Promise<void>
  /** False if there is no such tag, or if it does not point to `from` (any more). */
  remove(rid: Rid, tag: Tag, from: Digest | undefined, by: string, options: MutationOptions): Promise<boolean>
  /** Removes every tag that points to a manifest. */
  removeAllOf(rid: Rid, digest: Digest, by: string, options: MutationOptions): Promise<void>
  list(rid: Rid, page: Page): Promise<Listing<Tag>>
}

/** Two that write one tag at once try again after a moment of their own. */
const pause = () => new Promise(wake => setTimeout(wake, Math.random() * 10))

function holds(condition: TagCondition | undefined, current: Digest | undefined): boolean {
  if (!condition) return true
  if ('ifAbsent' in condition) return current === undefined
  return current !== undefined && (condition.ifDigest.includes(current) || condition.ifDigest.includes('*'))
}

export function tags(store: ObjectStore): Tags {
  async function find(rid: Rid, tag: Tag, io: Io) {
    const record = await store.read(tagKey(rid, tag), io)
    return record && { etag: record.etag, tag: decodeRecord<TagRecord>(record) }
  }

  const self: Tags = {
    async resolve(rid, tag, io) {
      return (await find(rid, tag, io))?.tag.d
    },

    async point(rid, tag, to, by, condition, options) {
      for (;;) {
        const found = await find(rid, tag, options)
        if (!holds(condition, found?.tag.d))
          throw new RegistryError('TAG_CHANGED', { detail: { tag, digest: found?.tag.d ?? null } })
        const { d, at, by: who, rev = 0, h = [] } = found?.tag ?? {}
        const past =
          d && at && who !== undefined && d !== to ? [{ d, at, by: who }, ...h].slice(0, historyLength) : h
        const bytes = encodeRecord({ d: to, at: Date.now(), by, rev: rev + 1, h: past })
        const unchanged = found ? { ifMatch: found.etag } : { ifAbsent: true as const }
        if (await store.write(tagKey(rid, tag), bytes, { ...options, condition: unchanged })) return
        await pause()
      }
    },

    async remove(rid, tag, from, by, options) {
      for (;;) {
        const found = await find(rid, tag, options)
        if (!found || (from && found.tag.d !== from)) return false
        await store.write(
          deletedTagKey(rid, tag),
          encodeRecord({ ...found.tag, deleted: { at: Date.now(), by } }),
          options,
        )
        if (await store.remove(tagKey(rid, tag), { ...options, condition: { ifMatch: found.etag } }))
          return true
        await pause()
      }
    },

    async removeAllOf(rid, digest, by, options) {
      for (let after: string | undefined, more = true; more; ) {
        const page = await store.list(tagPrefix(rid), {
          signal: options.signal,
          limit: 1000,
          ...(after && { after }),
        })
        await inParallel(page.keys, 16, async key => {
          if ((await self.resolve(rid, tagOfKey(key), options)) === digest)
            await self.remove(rid, tagOfKey(key), digest, by, options)
        })
        more = page.more
        after = page.keys.at(-1)
      }
    },

    async list(rid, { after, limit, signal }) {
      const start = after === undefined ? {} : { after: tagPrefix(rid) + after }
      const { keys, more } = await store.list(tagPrefix(rid), { ...start, limit, signal })
      return { items: keys.map(tagOfKey), more }
    },
  }
  return self
}
