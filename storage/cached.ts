import { LRUCache } from 'lru-cache'
import { readStart } from './durable.ts'
import type { ObjectStore, OpenContent, StoredRecord } from './object-store.ts'
import { wholeOf } from './whole-of.ts'

export interface CacheLimits {
  /** For records and small content together, in bytes. */
  readonly maxBytes: number
}

/** Content up to here is kept whole: configs, signatures, small layers. */
const smallBytes = 64 * 1024
/** What an entry costs beside its bytes. */
const overheadBytes = 256

/**
 * The same store, remembering records and small content. A record is asked for again only when the backend cannot
 * tell cheaply that it is unchanged, so a change by another process is seen at once. Content at its key never changes.
 */
export function cached(store: ObjectStore, { maxBytes }: CacheLimits): ObjectStore {
  const { isCurrent, locate } = store
  const cost = ({ bytes }: { bytes: Buffer }) => bytes.length + overheadBytes
  const limits = { maxEntrySize: 1024 * 1024, sizeCalculation: cost }
  const records = new LRUCache<string, StoredRecord>({ maxSize: maxBytes / 2, ...limits })
  const contents = new LRUCache<string, Extract<OpenContent, { kind: 'bytes' }>>({
    maxSize: maxBytes / 2,
    ...limits,
  })

  async function whole(content: Exclude<OpenContent, { kind: 'bytes' }>) {
    const { size } = content
    if (content.kind === 'stream')
      return { kind: 'bytes' as const, size, bytes: await wholeOf(content.stream) }
    try {
      return { kind: 'bytes' as const, size, bytes: await readStart(content.fd, size) }
    } finally {
      content.close()
    }
  }

  return {
    ...store,

    async read(key, io) {
      const known = records.get(key)
      if (known?.version !== undefined && isCurrent?.(key, known.version)) return known
      const found = await store.read(key, io)
      if (found && (store.remote || found.version !== undefined)) records.set(key, found)
      else records.delete(key)
      return found
    },

    recall: key => records.get(key),

    async write(key, bytes, options) {
      records.delete(key)
      const written = await store.write(key, bytes, options)
      if (written && store.remote) records.set(key, { ...written, bytes: Buffer.from(bytes) })
      return written
    },

    async remove(key, options) {
      records.delete(key)
      return store.remove(key, options)
    },

    ...(locate && {
      // What is remembered, or will be when it is opened, is sooner sent than asked for elsewhere.
      locate: async (key, size, io) => (size > smallBytes ? locate(key, size, io) : undefined),
    }),

    async open(key, io) {
      const known = contents.get(key)
      if (known)
        return io.range ? { ...known, bytes: known.bytes.subarray(io.range.start, io.range.end) } : known
      const content = await store.open(key, io)
      if (!content || content.kind === 'bytes' || content.size > smallBytes) return content
      // A part of a file can be had from the whole, but not the whole from a part of a stream.
      if (content.kind === 'stream' && io.range) return content
      const small = await whole(content)
      contents.set(key, small)
      return io.range ? { ...small, bytes: small.bytes.subarray(io.range.start, io.range.end) } : small
    },
  }
}
