/**
 * The bytes of an upload behind its last full part. Where they might become content as they lie they are never removed:
 * another process may be about to complete them. So they are kept apart, where nobody links to, when they most likely
 * only grow: in an upload of several requests, or one that was cut off, and where they are so few that a link holds them.
 */
import type { Io } from '../oci/io.ts'
import { nonce } from '../oci/nonce.ts'
import { inlineBytes } from './blobs.ts'
import type { Bucket } from './bucket.ts'
import type { Parts } from './bucket-parts.ts'
import { newKey, type State, unknown } from './bucket-upload-states.ts'
import { isContentId, madeMs } from './content-id.ts'
import type { Upload } from './object-store.ts'
import type { PartBuffers } from './part-buffers.ts'
import { graceMs, operation } from './record.ts'

/** What most likely follows on what is stored: nothing, another request, or the rest of one that was cut off. */
export type Sequel = 'nothing' | 'more' | 'rest'

export interface Tails {
  /** How many there are. Throws UPLOAD_UNKNOWN where none can be added. */
  lengthOf(state: State): number
  /** Reads them into the start of a buffer. */
  read(state: State, into: Buffer, io: Io): Promise<void>
  /** Stores what does not fill a part, behind what was there before. */
  store(
    upload: Upload,
    before: State,
    parts: Parts,
    rest: Buffer,
    sequel: Sequel,
    io: Io,
  ): Promise<Omit<State, 'spent'>>
  /** The same upload with nothing kept apart only. */
  settle(upload: Upload, state: State, io: Io): Promise<State>
  /** Removes tails that nobody needs any more; it does not matter when, or whether. */
  discard(...tails: readonly (string | undefined)[]): void
  /** Removes all of an upload's, whoever has stored them. */
  sweep(id: string, io: Io): Promise<void>
  /** Uploads that have some and are so old that nobody can go on with what fits a part. */
  forgotten(io: Io): Promise<string[]>
}

/** Bytes of a client that went away are still stored within this; so is removed what nobody waits for. */
export const afterwardsMs = 10_000

const prefix = 'u/'
const pageKeys = 1000

export function tailsIn(bucket: Bucket, buffers: PartBuffers): Tails {
  async function* keysUnder(under: string, io: Io) {
    for (let after = ''; ; ) {
      const { entries, more } = await bucket.list(under, { ...io, after, limit: pageKeys })
      for (const { key } of entries) yield key
      after = entries.at(-1)?.key ?? after
      if (!more) return
    }
  }

  const self: Tails = {
    lengthOf({ uploadId, count, size }) {
      // Joined for reading: an object does not grow.
      if (uploadId === undefined && count > 0) throw unknown()
      const length = size - count * buffers.bytes
      // Parts had another size when it was begun.
      if (length < 0 || length > buffers.bytes) throw unknown()
      return length
    },

    async read(state, into, io) {
      const length = self.lengthOf(state)
      if (length === 0) return
      const from = state.tail ?? (state.uploadId === undefined ? state.key : undefined)
      const found = from === undefined ? undefined : await bucket.get(from, io)
      if (found?.size !== length) {
        found?.stream.destroy()
        throw unknown()
      }
      let at = 0
      for await (const chunk of found.stream as AsyncIterable<Buffer>) at += chunk.copy(into, at)
    },

    async store({ id }, before, parts, rest, sequel, io) {
      const options = operation(io)
      const { key, uploadId, count } = parts
      const modifiedMs = Date.now()
      const tail = `${prefix}${id}/${nonce()}`
      if (uploadId === undefined) {
        const isApart =
          rest.length <= inlineBytes || sequel === 'rest' || (sequel === 'more' && before.size > 0)
        const own = newKey(id)
        await bucket.put(isApart ? tail : own, rest, options)
        return isApart ? { ...parts, tail, modifiedMs } : { ...parts, key: own, modifiedMs }
      }
      if (rest.length === 0) return { ...parts, modifiedMs }
      const stored = [
        // What is left of a request that was cut off may come late: another process may have stored a full part there.
        sequel === 'rest' ? undefined : bucket.putPart({ key, uploadId }, count + 1, rest, options),
        sequel === 'nothing' ? undefined : bucket.put(tail, rest, options),
      ] as const
      // Both, whatever comes of them, before the buffer is somebody else's.
      await Promise.allSettled(stored)
      const [last] = await Promise.all(stored)
      if (!last && sequel !== 'rest') throw unknown()
      return { ...parts, last, tail: sequel === 'nothing' ? undefined : tail, modifiedMs }
    },

    async settle({ id, owner }, state, io) {
      const { key, uploadId, count, last, tail } = state
      if (tail === undefined || last) return state
      const length = self.lengthOf(state)
      const buffer = await buffers.take(owner, length, io.signal)
      try {
        await self.read(state, buffer, io)
        const bytes = buffer.subarray(0, length)
        if (uploadId === undefined) {
          const own = newKey(id)
          await bucket.put(own, bytes, operation(io))
          return { ...state, key: own }
        }
        const stored = await bucket.putPart({ key, uploadId }, count + 1, bytes, io)
        if (!stored) throw unknown()
        return { ...state, last: stored }
      } finally {
        buffers.give(buffer, length)
      }
    },

    discard(...tails) {
      const io = { signal: AbortSignal.timeout(afterwardsMs) }
      for (const tail of tails)
        if (tail !== undefined) void bucket.remove(tail, operation(io)).catch(() => {})
    },

    async sweep(id, io) {
      for await (const key of keysUnder(`${prefix}${id}/`, io)) await bucket.remove(key, operation(io))
    },

    async forgotten(io) {
      const ids = new Set<string>()
      for await (const key of keysUnder(prefix, io)) ids.add(key.split('/')[1] ?? '')
      return [...ids].filter(id => isContentId(id) && Date.now() - madeMs(id) > 2 * graceMs)
    },
  }
  return self
}
