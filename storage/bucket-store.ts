/** The adapter for a bucket: a key is an object's. What the bucket was found to keep, it is asked for; nothing else. */
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import type { Bucket, Guarantees } from './bucket.ts'
import { bucketUploads } from './bucket-uploads.ts'
import { voidsOf } from './bucket-voids.ts'
import { formatKey, mayBeOld } from './layout.ts'
import type { Condition, MutationOptions, ObjectStore, StoredRecord, Written } from './object-store.ts'
import type { PartBuffers } from './part-buffers.ts'
import { operationMs } from './record.ts'

export interface BucketTimes {
  /** How long a record that was read is taken for what stands there still. */
  readonly trustedMs: number
  /** How long what says that there is nothing stays. */
  readonly restMs: number
}

/** So long a store takes what was signed; no operation signs longer than it may take. */
const signedMs = 15 * 60_000
const usualTimes: BucketTimes = { trustedMs: 2_000, restMs: operationMs + signedMs + 60_000 }
/** What clocks that count the same time may differ by. */
const slackMs = 100

/**
 * An object of just so many bytes says that there is no record, and no record has so many: a removal is a write under a
 * condition. The bytes are random, so that what was meant for one removal means nothing to the next.
 */
const voidBytes = 23
const isVoid = (size: number) => size === voidBytes

/** Uploads keep aside here what is no content yet. */
const isKey = (key: string) => !key.startsWith('u/')

/** All who use a bucket must trust what they read for the same time. */
export function bucketStore(
  bucket: Bucket,
  guarantees: Guarantees,
  buffers: PartBuffers,
  times: Partial<BucketTimes> = {},
): ObjectStore {
  const { conditionalWrite, conditionalRemove } = guarantees
  const { trustedMs, restMs } = { ...usualTimes, ...times }
  const voids = conditionalRemove ? voidsOf(bucket, restMs) : undefined

  const holds = (found: StoredRecord | undefined, condition: Condition) =>
    'ifAbsent' in condition ? !found || isVoid(found.bytes.length) : found?.etag === condition.ifMatch

  /** Compared first and written then: another may write in between, where the bucket cannot tell. */
  async function putAfterLook(
    key: string,
    bytes: Uint8Array,
    condition: Condition,
    options: MutationOptions,
  ) {
    const { signal, deadlineMs } = options
    if (!holds(await bucket.read(key, options), condition)) return undefined
    return bucket.put(key, bytes, { signal, deadlineMs })
  }

  /** As old as the question, not as the answer. */
  async function stamped<T extends object>(
    key: string,
    answer: Promise<T | undefined>,
  ): Promise<T | undefined> {
    const version = String(performance.now())
    const found = await answer
    return found && mayBeOld(key) ? { ...found, version } : found
  }

  async function write(key: string, bytes: Uint8Array, options: MutationOptions): Promise<Written> {
    if (isVoid(bytes.length)) throw new TypeError(`no record has ${voidBytes} bytes`)
    const { condition } = options
    if (!condition) return bucket.put(key, bytes, options)
    if (!conditionalWrite) return putAfterLook(key, bytes, condition, options)
    for (;;) {
      const written = await bucket.put(key, bytes, options)
      if (written || !('ifAbsent' in condition)) return written
      const found = await bucket.read(key, options)
      if (found && !isVoid(found.bytes.length)) return undefined
      const over = found && (await bucket.put(key, bytes, { ...options, condition: { ifMatch: found.etag } }))
      if (over) return over
    }
  }

  return {
    ...bucketUploads(bucket, buffers),
    remote: true,
    ...(!conditionalWrite && { lax: true as const }),

    async read(key, io) {
      const found = await stamped(key, bucket.read(key, io))
      return found && !isVoid(found.bytes.length) ? found : undefined
    },

    isCurrent: (_key, version) => performance.now() - Number(version) < trustedMs,

    write: (key, bytes, options) => stamped(key, write(key, bytes, options)),

    // Also for somebody who has gone: what is deleted by half is worse.
    everybodySees: async () => {
      await new Promise(wake => setTimeout(wake, trustedMs + slackMs))
    },

    async remove(key, options) {
      const { condition, signal, deadlineMs } = options
      if (!condition) return bucket.remove(key, options)
      if ('ifAbsent' in condition) throw new TypeError('nothing can be removed if it is absent')
      const removed = conditionalWrite ? await bucket.put(key, randomBytes(voidBytes), options) : undefined
      if (removed) {
        voids?.add(key, removed.etag)
        return true
      }
      const found = await bucket.read(key, options)
      if (!found || isVoid(found.bytes.length)) return true
      if (conditionalWrite || found.etag !== condition.ifMatch) return false
      return bucket.remove(key, { signal, deadlineMs })
    },

    async list(prefix, { after, limit, signal }) {
      const keys: string[] = []
      for (let last = after ?? ''; ; ) {
        const page = await bucket.list(prefix, { signal, after: last, limit: limit + 1 - keys.length })
        for (const { key, size } of page.entries) if (!isVoid(size) && isKey(key)) keys.push(key)
        if (keys.length > limit) return { keys: keys.slice(0, limit), more: true }
        last = page.entries.at(-1)?.key ?? last
        if (!page.more) return { keys, more: false }
      }
    },

    async open(key, { range, signal }) {
      if (range && range.start >= range.end) {
        const size = await bucket.head(key, { signal })
        return size === undefined ? undefined : { kind: 'stream', size, stream: Readable.from([]) }
      }
      const found = await bucket.get(key, { signal, ...(range && { range }) })
      return found && { kind: 'stream', ...found }
    },

    locate: (key, _size, io) => bucket.locate(key, io),

    async reserve() {},

    async check(io) {
      await bucket.head(formatKey, io)
    },

    async close() {
      voids?.close()
      bucket.close()
    },
  }
}
