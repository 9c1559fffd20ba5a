import { hash } from 'node:crypto'
import { type Algorithm, type Digest, digestOf } from './names.ts'

/** For what is in memory already; what comes as a stream is hashed as it passes. */
export const digestOfBytes = (bytes: Uint8Array, algorithm: Algorithm = 'sha256'): Digest =>
  digestOf(algorithm, hash(algorithm, bytes))
