/** The bytes of an upload behind its last full part: where they lie, and what removes them. */
import type { Io } from '../oci/io.ts'
import { nonce } from '../oci/nonce.ts'
import type { Bucket } from './bucket.ts'
import type { Parts } from './bucket-parts.ts'
import { newKey, type State, unknown } from './bucket-upload-states.ts'
import type { Upload } from './object-store.ts'
import { operation } from './record.ts'

export interface Tails {
  /** How many there are. Throws UPLOAD_UNKNOWN where none can be added. */
  lengthOf(state: State): number
  /** Reads them into the start of a buffer. */
  read(state: State, into: Buffer, io: Io): Promise<void>
  /** Stores what does not fill a part. */
  store(upload: Upload, parts: Parts, rest: Buffer, isLast: boolean, io: Io): Promise<Omit<State, 'spent'>>
  /** Removes tails that nobody needs any more; it does not matter when, or whether. */
  discard(...tails: readonly (string | undefined)[]): void
}

/** Bytes of a client that went away are still stored within this; so is removed what nobody waits for. */
export const afterwardsMs = 10_000

export function tailsIn(bucket: Bucket, partBytes: number): Tails {
  function lengthOf({ uploadId, count, size }: State): number {
    // Joined for reading: an object does not grow.
    if (uploadId === undefined && count > 0) throw unknown()
    const length = size - count * partBytes
    // Parts had another size when it was begun.
    if (length < 0 || length > partBytes) throw unknown()
    return length
  }

  return {
    lengthOf,

    async read(state, into, io) {
      const length = lengthOf(state)
      if (length === 0) return
      const from = state.uploadId === undefined ? state.key : state.last?.tail
      const found = from === undefined ? undefined : await bucket.get(from, io)
      if (found?.size !== length) {
        found?.stream.destroy()
        throw unknown()
      }
      let at = 0
      for await (const chunk of found.stream as AsyncIterable<Buffer>) at += chunk.copy(into, at)
    },

    async store({ id }, parts, rest, isLast, io) {
      const options = operation(io)
      const { key, uploadId, count } = parts
      const modifiedMs = Date.now()
      if (uploadId === undefined) {
        const own = newKey(id)
        await bucket.put(own, rest, options)
        return { ...parts, key: own, modifiedMs }
      }
      if (rest.length === 0) return { ...parts, key, modifiedMs }
      const tail = isLast ? undefined : `u/${id}/${nonce()}`
      const stored = [
        bucket.putPart({ key, uploadId }, count + 1, rest, options),
        tail === undefined ? undefined : bucket.put(tail, rest, options),
      ] as const
      // Both, whatever comes of them, before the buffer is somebody else's.
      await Promise.allSettled(stored)
      const [last] = await Promise.all(stored)
      if (!last) throw unknown()
      return { ...parts, last: { ...last, ...(tail !== undefined && { tail }) }, modifiedMs }
    },

    discard(...tails) {
      const io = { signal: AbortSignal.timeout(afterwardsMs) }
      for (const tail of tails)
        if (tail !== undefined) void bucket.remove(tail, operation(io)).catch(() => {})
    },
  }
}
