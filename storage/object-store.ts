/**
 * The port that every backend implements: bytes by key, and nothing a registry knows. Keys are `/`-joined words of
 * printable ASCII; no key is a prefix of another up to a `/`. Two kinds of object, because they have different laws:
 *
 *   records   small, whole, compare-and-set: what the registry knows
 *   content   large, write-once, at keys that are never used again: what the registry keeps
 *
 * Absence is an answer, not a failure. A method throws only when the backend could not do what was asked: a
 * RegistryError STORAGE_FULL or STORAGE_UNAVAILABLE where the cause is known, the backend's own error otherwise.
 */
import type { Readable } from 'node:stream'
import type { Io } from '../oci/io.ts'
import type { ByteRange } from '../oci/ranges.ts'

/** Bytes of a record with what it takes to replace it. */
export interface StoredRecord {
  readonly bytes: Buffer
  /** Differs for any two different contents of one key. */
  readonly etag: string
  /** When it was written, in ms since the epoch by the store's clock. */
  readonly modifiedMs: number
  /** What `isCurrent` compares; absent where the backend has no cheap way to tell. */
  readonly version?: string
}

/** How a write ended. `undefined`: the condition did not hold and nothing was written. */
export type Written = Pick<StoredRecord, 'etag' | 'modifiedMs' | 'version'> | undefined

/** What must hold for a mutation to happen. A key is written with conditions always or never: the two do not mix. */
export type Condition = { readonly ifAbsent: true } | { readonly ifMatch: string }

export interface MutationOptions extends Io {
  /** ms since the epoch after which the mutation must not happen any more. Throws STORAGE_UNAVAILABLE when it is late. */
  readonly deadlineMs: number
  readonly condition?: Condition
}

export interface ListOptions extends Io {
  /** Only keys that sort after this one. */
  readonly after?: string
  readonly limit: number
}

export interface KeyPage {
  /** In byte order. */
  readonly keys: readonly string[]
  readonly more: boolean
}

/**
 * Opened content. `file`: can be read at any position, or sent by its descriptor; whoever opened it closes it.
 * `stream`: the range that was asked for; must be consumed or destroyed. `bytes`: all of it, already in memory.
 */
export type OpenContent =
  | { readonly kind: 'bytes'; readonly size: number; readonly bytes: Buffer }
  | { readonly kind: 'file'; readonly size: number; readonly fd: number; close(): void }
  | { readonly kind: 'stream'; readonly size: number; readonly stream: Readable }

/**
 * Content in the making. Plain data, so that the next request, or another process, can go on with it. `owner` groups
 * uploads for counting: a word of letters, digits, and "-", "_", ".", ":" between them. `state` belongs to the backend.
 */
export interface Upload {
  readonly id: string
  readonly owner: string
  readonly state?: string
}

/** An upload to which bytes were added, as it goes on from here. */
export interface Appended {
  readonly upload: Upload
  /** All that it holds now. */
  readonly size: number
}

export interface Uploaded {
  readonly size: number
  /** Takes the place of what was asked about: another process can go on with this from `size` only. */
  readonly upload?: Upload
  /** When its last byte came, in ms since the epoch by the store's clock. */
  readonly modifiedMs: number
}

/** Sees every byte of a stream that is appended, once and in order, while it is being stored. */
export interface Witness {
  update(chunk: Uint8Array): void
}

/** Bytes on their way in. They are taken in one of the two ways, once. */
export interface Incoming {
  readonly open: () => Readable
  /** Writes them all to an empty file by itself and returns how many there were; as the stream, it may fail midway. */
  readonly move?: ((fd: number, io: Io) => Promise<number>) | undefined
}

export interface AppendOptions extends Io {
  /** Where the bytes begin: the upload's size. */
  readonly offset: number
  /**
   * Only for a remote store, where `state` says what an upload holds: it is gone on with as that says, whatever a request
   * that broke off has added.
   */
  readonly replaces?: boolean
  /** Nothing will be added to these. */
  readonly isLast?: boolean
  readonly witness: Witness
  /** Called before an upload takes a place among those that `uploads` finds; what it throws ends the append. */
  readonly admit?: (() => Promise<void>) | undefined
}

export interface ObjectStore {
  /** As long as this stays the same, an upload holds every byte that was acknowledged. */
  readonly run: string
  /** Conditions are looked at before a mutation, not with it: another may come in between. What relies on them is refused. */
  readonly lax?: true
  /** Each question is a journey: what can be guessed is. */
  readonly remote?: true

  /** The record at a key, or undefined. Sees every write that was acknowledged before. */
  read(key: string, io: Io): Promise<StoredRecord | undefined>
  /** Whether what was read before is still what stands there, answered without waiting; false when in doubt. */
  isCurrent?(key: string, version: string): boolean
  /**
   * What this process last knew of a record, however old that is, without a look: for who knows from elsewhere that it
   * stands there still, and to begin with where a look is a journey. Undefined where it knows of none.
   */
  recall?(key: string): StoredRecord | undefined
  /** Only where `isCurrent` may be mistaken for a while: waits until no process is any more about what was done before. */
  everybodySees?(io: Io): Promise<void>
  /** Writes a whole record: durable when it resolves, never seen half. Undefined: the condition did not hold. */
  write(key: string, bytes: Uint8Array, options: MutationOptions): Promise<Written>
  /**
   * Writes a record over whatever stands at its key, where all who write it so write what is as good: of two at once either
   * stays. Cheaper than `write`, as many share what makes it durable, which it is when this resolves to true. False: not
   * now, and nothing was acknowledged; it is to be written under a condition.
   */
  overwrite?(key: string, bytes: Uint8Array, options: Omit<MutationOptions, 'condition'>): Promise<boolean>
  /** Removes a record. True if it is gone now, also if it never was; false: the condition did not hold. */
  remove(key: string, options: MutationOptions): Promise<boolean>
  /** One page of the keys under a prefix, records and complete content alike. */
  list(prefix: string, options: ListOptions): Promise<KeyPage>

  /**
   * Names an upload that holds nothing yet: a fresh id that nobody can guess, the last word of its content's key. Costs
   * the store nothing; the first byte makes the upload. An upload that was completed or forgotten is gone for ever: no
   * byte makes it again; of one that was forgotten before its first byte a remote store may know that in one process only.
   */
  begin(owner: string): Upload
  /** What an upload holds; undefined before its first byte. Throws UPLOAD_UNKNOWN when it is gone. */
  uploaded(upload: Upload, io: Io): Promise<Uploaded | undefined>
  /**
   * Adds bytes; what is returned takes the place of `upload`. When the source or the store fails, or the signal aborts,
   * what has been stored until then stays, and `uploaded` tells how much. One writer at a time: throws UPLOAD_BUSY
   * otherwise. Throws UPLOAD_OUT_OF_ORDER when `offset` is not its size; UPLOAD_UNKNOWN when the upload is gone, or has
   * no byte yet and `offset` is not 0.
   */
  append(upload: Upload, source: Incoming, options: AppendOptions): Promise<Appended>
  /** All bytes of an upload, to look at again. Undefined when there is no such upload. */
  reread(upload: Upload, io: Io): Promise<Readable | undefined>
  /**
   * Makes an upload of this size content, durable when it resolves, and returns its key. Never copies. Throws
   * UPLOAD_UNKNOWN when the upload is gone, UPLOAD_BUSY when somebody writes to it or has changed its size. An upload
   * that cannot be made durable is forgotten: what a disk has refused once it may claim to have the next time. A remote
   * store gives the same process the same key again, until the upload is forgotten.
   */
  complete(upload: Upload, size: number, io: Io): Promise<string>
  /**
   * Forgets an upload, for ever, and frees what it held. What tells that it is gone is empty content at its key, named by
   * nobody and collected as such. Forgetting twice is success.
   */
  abort(upload: Upload, io: Io): Promise<void>
  /** Uploads of an owner, or of all, that hold something. */
  uploads(owner: string | undefined, io: Io): Promise<Upload[]>

  /** Opens content, or a range of it; undefined when there is none. */
  open(key: string, io: Io & { readonly range?: ByteRange }): Promise<OpenContent | undefined>
  /**
   * An address by which whoever has it can GET content, whole or in ranges, without us: as an attachment of no type, for at
   * most ten minutes, and the same for half of that at least. Absent where the backend has none; undefined while none can
   * be made. Whether there is such content is not asked.
   */
  locate?(key: string, size: number, io: Io): Promise<string | undefined>
  /** Throws STORAGE_FULL unless `bytes` more can be expected to fit with the reserve untouched. */
  reserve(bytes: number, io: Io): Promise<void>
  /** Throws STORAGE_UNAVAILABLE or STORAGE_FULL with the reason when the store cannot serve. Writes nothing. */
  check(io: Io): Promise<void>
  close(): Promise<void>
}
