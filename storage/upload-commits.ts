/** How what was uploaded becomes a blob: compared with its digest first, and linked last. */
import { createHash } from 'node:crypto'
import { digestOfBytes } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import { type Algorithm, algorithmOf, type Digest, digestOf } from '../oci/names.ts'
import { type Blobs, inlineBytes } from './blobs.ts'
import type { ObjectStore, Upload } from './object-store.ts'
import { operation } from './record.ts'
import type { Blob, Pusher, UploadBody } from './registry.ts'
import type { Repositories } from './repositories.ts'
import type { SealedUpload } from './seal.ts'
import type { UploadDigests } from './upload-digests.ts'
import { wholeOf } from './whole-of.ts'

export interface UploadCommits {
  /** Links a blob that is small enough for its link, and never becomes a file. DIGEST_INVALID, SIZE_INVALID. */
  receiveInline(pusher: Pusher, digest: Digest, body: UploadBody, io: Io): Promise<Blob>
  /** Publishes all bytes of an upload of this size. DIGEST_INVALID, UPLOAD_UNKNOWN, UPLOAD_BUSY. */
  publish(pusher: Pusher, sealed: SealedUpload, blob: Blob, io: Io): Promise<Blob>
}

export const isInline = ({ length }: UploadBody) => length !== undefined && length <= inlineBytes

export function uploadCommits(
  store: ObjectStore,
  names: Repositories,
  blobs: Blobs,
  digests: UploadDigests,
): UploadCommits {
  /** The digest of all bytes: from this process's memory, from the address, or by reading them again. */
  async function digestOfAll({ upload, ...said }: SealedUpload, size: number, algorithm: Algorithm, io: Io) {
    const known = digests.find(upload, size)
    if (known && algorithmOf(known) === algorithm) return known
    if (said.digest?.algorithm === algorithm && said.size === size && said.run === store.run)
      return digestOf(algorithm, said.digest.hex)
    const running = createHash(algorithm)
    for await (const chunk of await reread(upload, io)) {
      io.signal.throwIfAborted()
      running.update(chunk)
    }
    return digestOf(algorithm, running.digest('hex'))
  }

  async function reread(upload: Upload, io: Io) {
    const source = await store.reread(upload, io)
    if (!source) throw new RegistryError('UPLOAD_UNKNOWN')
    return source
  }

  return {
    async receiveInline({ name, guard }, digest, body, io) {
      await store.reserve(body.length ?? 0, io)
      const bytes = await wholeOf(body.open())
      if (bytes.length !== body.length) throw new RegistryError('SIZE_INVALID')
      verify(digest, digestOfBytes(bytes, algorithmOf(digest)))
      await guard?.(io)
      await blobs.commitInline(await names.ensure(name, io), name, digest, bytes, operation(io))
      return { digest, size: bytes.length }
    },

    async publish({ name, guard }, sealed, blob, io) {
      const { upload } = sealed
      const { digest, size } = blob
      verify(digest, await digestOfAll(sealed, size, algorithmOf(digest), io))
      await guard?.(io)
      const options = operation(io)
      const rid = await names.ensure(name, io)
      if (size > inlineBytes) {
        const complete = () => store.complete(upload, size, io)
        const isCompleted = await blobs.commit(rid, name, blob, complete, options)
        // A remote store says the key again as long as nobody tells it that this is done.
        if (isCompleted && !store.remote) return blob
      } else {
        const bytes = await wholeOf(await reread(upload, io))
        // Somebody has written to what was verified.
        if (digestOfBytes(bytes, algorithmOf(digest)) !== digest) throw new RegistryError('UPLOAD_BUSY')
        await blobs.commitInline(rid, name, digest, bytes, options)
      }
      await store.abort(upload, io)
      return blob
    },
  }
}

function verify(expected: Digest, found: Digest): void {
  if (found === expected) return
  throw new RegistryError('DIGEST_INVALID', {
    message: `digest did not match: expected ${expected}, got ${found}`,
  })
}
