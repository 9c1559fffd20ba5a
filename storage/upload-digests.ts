/**
 * Digests of what unfinished uploads hold, kept in this process between two requests. An upload is known by its state as
 * well: where the state says what it holds, one id has many.
 */
import { createHash, type Hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { type Algorithm, type Digest, digestOf } from '../oci/names.ts'
import type { Upload, Witness } from './object-store.ts'

export interface UploadDigests {
  /** The digest of an upload's `size` bytes, where this process has seen them all. */
  find(upload: Upload, size: number): Digest | undefined
  /** Starts to look at what is added to an upload that holds `size` bytes. */
  watch(upload: Upload, size: number, algorithm: Algorithm): Watch
  forget(upload: Upload): void
}

export interface Watch extends Witness {
  readonly algorithm: Algorithm
  /** Instead of `update`: the digest of all bytes, in hexadecimal, from whoever saw them. */
  conclude(hex: string): void
  /** All has been added: the upload as it is now. */
  keep(upload: Upload, size: number): void
}

interface Known {
  readonly size: number
  readonly algorithm: Algorithm
  /** A hash can be gone on with; what was made of one, in hexadecimal, cannot. */
  readonly state: Hash | string
}

const keptUploads = 1000
/** So long a client may think between two requests without costing a second read of what it sent. */
const keptMs = 15 * 60_000

export function uploadDigests(): UploadDigests {
  const known = new LRUCache<string, Known>({ max: keptUploads, ttl: keptMs })

  const wordOf = ({ id, state = '' }: Upload) => `${id} ${state}`

  /** What to go on from with the next byte. */
  function stateAt(upload: Upload, size: number, algorithm: Algorithm): Known | undefined {
    if (size === 0) return { size, algorithm, state: createHash(algorithm) }
    const found = known.get(wordOf(upload))
    return found?.size === size && typeof found.state === 'object' ? found : undefined
  }

  return {
    find(upload, size) {
      const found = known.get(wordOf(upload))
      if (found?.size !== size) return undefined
      const { algorithm, state } = found
      return digestOf(algorithm, typeof state === 'string' ? state : state.copy().digest('hex'))
    },

    watch(upload, size, asked) {
      const before = stateAt(upload, size, asked)
      const algorithm = before?.algorithm ?? asked
      let state = before?.state
      // A hash is gone on with once.
      known.delete(wordOf(upload))
      return {
        algorithm,
        update(chunk) {
          if (typeof state === 'object') state.update(chunk)
        },
        conclude(hex) {
          state = hex
        },
        keep(grown, newSize) {
          if (state !== undefined) known.set(wordOf(grown), { size: newSize, algorithm, state })
        },
      }
    },

    forget: upload => void known.delete(wordOf(upload)),
  }
}
