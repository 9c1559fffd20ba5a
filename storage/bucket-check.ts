/** A question about a bucket, asked by doing it. */
import { codeOf } from '../oci/errors.ts'
import type { Bucket } from './bucket.ts'
import type { MutationOptions } from './object-store.ts'

/** What cannot be had where a check fails: the whole service, one of the guarantees, clients that are sent to it, or nothing. */
export type Decides = 'service' | 'conditionalWrite' | 'conditionalRemove' | 'redirect' | 'nothing'

export interface Answer {
  readonly found: string
  readonly ok: boolean
}

export interface Bench {
  readonly bucket: Bucket
  /** Of all keys that may be written. */
  readonly prefix: string
  readonly options: MutationOptions
}

export interface Check {
  /** What is looked at; what is found continues it. */
  readonly name: string
  readonly decides: Decides
  look(bench: Bench): Promise<Answer>
}

/** The store has said that it does not know how to do this. */
export const isUnsupported = (error: unknown) => codeOf(error) === 'ENOTSUP'

export const yes: Answer = { found: 'as it should be', ok: true }
export const no = (found: string): Answer => ({ found, ok: false })
