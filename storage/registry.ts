/**
 * What a registry can do, in its own words and with no HTTP. Every method that needs something that is not there
 * throws the RegistryError that says so; each comment names the faults of its own. Any method may throw
 * STORAGE_UNAVAILABLE, and any that writes STORAGE_FULL.
 */
import type { Readable } from 'node:stream'
import type { Io } from '../oci/io.ts'
import type { Descriptor } from '../oci/manifest.ts'
import type { Algorithm, Digest, Reference, RepositoryName, Tag } from '../oci/names.ts'
import type { ByteRange } from '../oci/ranges.ts'
import type { OpenContent } from './object-store.ts'

export interface Blob {
  readonly digest: Digest
  readonly size: number
}

/** A blob as a repository has it now. */
export interface FoundBlob extends Blob {
  /** All of it or a range. Whoever opens it closes, consumes or destroys it. */
  open(io: Io & { readonly range?: ByteRange }): Promise<OpenContent>
  /**
   * A secret address, of a short life, by which a client fetches it from the store by itself. Undefined where there is
   * none, or where we have the bytes at hand.
   */
  locate(io: Io): Promise<string | undefined>
}

export interface BlobStore {
  /**
   * For who may push here and will rely on the answer: the blob stays confirmable for half a day at least (Registry rule
   * W-head, docs/architecture.md). BLOB_UNKNOWN.
   */
  stat(name: RepositoryName, digest: Digest, io: Io): Promise<Blob>
  /** For who reads it. BLOB_UNKNOWN. */
  find(name: RepositoryName, digest: Digest, io: Io): Promise<FoundBlob>
  /** Makes a blob of one repository visible in another; false if it is not there or must be sent again. */
  mount(from: RepositoryName, to: RepositoryName, digest: Digest, io: Io): Promise<boolean>
  /** The repositories that hold a blob, at most `limit` of them. */
  holders(digest: Digest, io: Io & { readonly limit: number }): Promise<RepositoryName[]>
  /** BLOB_UNKNOWN; BLOB_IN_USE while a manifest of the repository names it. */
  remove(name: RepositoryName, digest: Digest, io: Io): Promise<void>
}

/** An upload in progress, known by its address alone: the next request may reach another process. */
export interface UploadSession {
  /** Sealed: says nothing to a client, and opens only for the same repository and pusher. Fits a path segment. */
  readonly address: string
  readonly size: number
}

export interface Moved {
  readonly bytes: number
  readonly digest: string
}

export interface UploadBody {
  /** To be called once, and what it returns to be read: a sender may be waiting for that. */
  readonly open: () => Readable
  /**
   * Instead of `open`, where it is there: writes all of it to an empty file and returns how many bytes there were,
   * and their digest in hexadecimal.
   */
  readonly move?: ((fd: number, algorithm: Algorithm, io: Io) => Promise<Moved>) | undefined
  /** Bytes that will come, where known. */
  readonly length?: number | undefined
  /** Where the bytes begin, if the client said so. */
  readonly offset?: number | undefined
}

/** Who pushes, to count their uploads and to keep others out of them. */
export interface Pusher {
  readonly name: RepositoryName
  readonly owner: string
  /**
   * Asked when all bytes are there, before they become a blob: they may have taken long to come. What it throws leaves
   * them as they are.
   */
  readonly guard?: ((io: Io) => Promise<void>) | undefined
}

export interface UploadStore {
  /** TOO_MANY_REQUESTS when the owner has as many as allowed. The algorithm is the one expected at the end. */
  start(pusher: Pusher, algorithm: Algorithm, io: Io): Promise<UploadSession>
  /** UPLOAD_UNKNOWN. */
  find(pusher: Pusher, address: string, io: Io): Promise<UploadSession>
  /** UPLOAD_UNKNOWN, UPLOAD_BUSY, UPLOAD_OUT_OF_ORDER unless the bytes begin where the upload ends. */
  append(pusher: Pusher, address: string, body: UploadBody, io: Io): Promise<UploadSession>
  /**
   * Adds the last bytes, verifies all against `digest` and publishes the blob. A repetition of a request that was
   * acknowledged is acknowledged again. DIGEST_INVALID ends the upload; otherwise as `append`, and what the
   * guard throws.
   */
  finish(pusher: Pusher, address: string, digest: Digest, body: UploadBody, io: Io): Promise<Blob>
  /** A whole blob at once. DIGEST_INVALID, TOO_MANY_REQUESTS; what the guard throws. */
  receive(pusher: Pusher, digest: Digest, body: UploadBody, io: Io): Promise<Blob>
  /** UPLOAD_UNKNOWN. */
  cancel(pusher: Pusher, address: string, io: Io): Promise<void>
  /** Removes uploads whose last byte is older than allowed, and says how many. */
  purge(io: Io): Promise<number>
}

export interface StoredManifest extends Descriptor {
  readonly bytes: Buffer
}

/** What a tag must be for a push to happen (RFC 9110, 13.1): not there, there, or at one of these digests. */
export type TagCondition =
  | { readonly ifAbsent: true }
  | { readonly ifPresent: true }
  | { readonly ifDigest: readonly string[] }

/** A tag as it is at the moment it is to change, and what it will be; undefined: it is not there. */
export interface TagChange {
  readonly tag: Tag
  readonly from: Digest | undefined
  readonly to: Digest | undefined
}

/** Asked before each change of a tag, in such a way that nobody changes it in between; throws what refuses it. */
export type TagGuard = (change: TagChange) => void

/** Who changes tags, and what they may not change. */
export interface TagAuthor {
  readonly by: string
  readonly guard?: TagGuard | undefined
  /** Hears of each change that is about to be made, also when it has to be tried again. */
  readonly told?: ((change: TagChange) => void) | undefined
}

export interface ManifestPush extends TagAuthor {
  readonly mediaType: string | undefined
  readonly bytes: Buffer
  /** More tags for the same manifest. */
  readonly tags: readonly Tag[]
  readonly condition?: TagCondition | undefined
}

export interface ManifestStore {
  /** MANIFEST_UNKNOWN. */
  read(name: RepositoryName, reference: Reference, io: Io): Promise<StoredManifest>
  /**
   * Stores a manifest byte for byte and points the tags to it. MANIFEST_INVALID, DIGEST_INVALID, TAG_CHANGED;
   * CONDITION_UNSUPPORTED where the store is lax;
   * MANIFEST_BLOB_UNKNOWN with every digest that is missing; what the guard throws. When it resolves, all that the
   * manifest names stays readable for as long as the manifest is there.
   */
  write(
    name: RepositoryName,
    reference: Reference,
    push: ManifestPush,
    io: Io,
  ): Promise<{ readonly digest: Digest; readonly subject: Digest | undefined }>
  /** A tag, or a manifest with every tag that points to it. MANIFEST_UNKNOWN; what the guard throws. */
  remove(name: RepositoryName, reference: Reference, author: TagAuthor, io: Io): Promise<void>
  /** Manifests that name `subject`, in the order of their digests; `next` is where the next page begins. */
  referrers(
    name: RepositoryName,
    subject: Digest,
    page: ReferrersPage,
  ): Promise<{ referrers: Descriptor[]; next?: string }>
  /** NAME_UNKNOWN. */
  tags(name: RepositoryName, page: Page): Promise<Listing<Tag>>
}

/** A slice of a listing: `limit` items strictly after `after`, in byte order. */
export interface Page extends Io {
  readonly after?: string | undefined
  readonly limit: number
}

export interface ReferrersPage extends Page {
  readonly artifactType?: string | undefined
}

export interface Listing<T> {
  readonly items: readonly T[]
  readonly more: boolean
}

export interface Registry {
  readonly blobs: BlobStore
  readonly uploads: UploadStore
  readonly manifests: ManifestStore
  repositories(page: Page): Promise<Listing<RepositoryName>>
  /** STORAGE_UNAVAILABLE or STORAGE_FULL with the reason when it cannot serve. */
  check(io: Io): Promise<void>
}
