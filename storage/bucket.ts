/**
 * What an S3 bucket can do, in S3's own terms and without its library. Keys are those of the store, without the bucket's
 * prefix. Where no other is named, a method throws a RegistryError STORAGE_UNAVAILABLE or STORAGE_FULL, the reason of the
 * signal, an error with the code ENOTSUP for what the store cannot do, or what is a mistake of ours as it is.
 */
import type { Readable } from 'node:stream'
import type { Io } from '../oci/io.ts'
import type { ByteRange } from '../oci/ranges.ts'
import type { MutationOptions, StoredRecord, Written } from './object-store.ts'

export interface BucketObject {
  /** Of the whole object, in bytes. */
  readonly size: number
  /** The bytes that were asked for. It fails where it is cut off: it never ends early. */
  readonly stream: Readable
}

export interface BucketPage {
  /** In byte order. */
  readonly entries: readonly { readonly key: string; readonly size: number }[]
  readonly more: boolean
}

/** A multipart upload that was neither completed nor aborted. */
export interface OpenMultipart {
  readonly key: string
  readonly uploadId: string
  readonly startedMs: number
}

export interface Part {
  readonly etag: string
  /** CRC-32 of its bytes. */
  readonly crc32: number
}

export interface StoredPart extends Part {
  readonly number: number
  readonly size: number
  readonly modifiedMs: number
}

/** What a bucket was found to do; `bucket-probe.ts` finds out. */
export interface Guarantees {
  /** A write under a condition happens only if that holds, whoever else writes. */
  readonly conditionalWrite: boolean
  /** The same for removals. */
  readonly conditionalRemove: boolean
}

export interface Bucket {
  read(key: string, io: Io): Promise<StoredRecord | undefined>
  /** An object, or a range of it. */
  get(key: string, io: Io & { readonly range?: ByteRange }): Promise<BucketObject | undefined>
  /** Its size. */
  head(key: string, io: Io): Promise<number | undefined>
  /**
   * An address by which whoever has it can GET an object, whole or in ranges, as an attachment of no type, for at most ten
   * minutes; for half of that it stays the same. Asks the bucket nothing. Undefined while none can be made.
   */
  locate(key: string, io: Io): Promise<string | undefined>
  /** Whole or not at all: the store compares a checksum. Undefined: the condition did not hold, and nothing was written. */
  put(key: string, bytes: Uint8Array, options: MutationOptions): Promise<Written>
  /** Removes what is there. The condition is for stores that were found to keep it. */
  remove(key: string, options: MutationOptions): Promise<boolean>
  /** At most 1000 entries, strictly after `after`. */
  list(prefix: string, options: Io & { readonly after?: string; readonly limit: number }): Promise<BucketPage>

  startMultipart(key: string, io: Io): Promise<string>
  /** Undefined when there is no such multipart upload. */
  putPart(upload: MultipartId, number: number, bytes: Uint8Array, io: Io): Promise<Part | undefined>
  /** In order. Undefined when there is no such multipart upload. */
  parts(upload: MultipartId, io: Io): Promise<readonly StoredPart[] | undefined>
  /** False when there is no such multipart upload, or it holds or became other parts. */
  completeMultipart(upload: MultipartId, whole: WholeObject, options: MutationOptions): Promise<boolean>
  abortMultipart(upload: MultipartId, io: Io): Promise<void>
  /** Those of keys that begin so. */
  multiparts(prefix: string, io: Io): Promise<readonly OpenMultipart[]>
  close(): void
}

export interface MultipartId {
  readonly key: string
  readonly uploadId: string
}

export interface WholeObject {
  /** From part 1 on. */
  readonly parts: readonly Part[]
  /** CRC-32 of all bytes; undefined where nobody knows it. */
  readonly crc32: number | undefined
}
