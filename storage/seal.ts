import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { RegistryError } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import type { Algorithm } from '../oci/names.ts'
import { uploadSecretKey } from './layout.ts'
import type { ObjectStore, Upload } from './object-store.ts'
import { operation } from './record.ts'

/** What an upload's address says to us and to nobody else. */
export interface SealedUpload {
  readonly upload: Upload
  /** The size that was acknowledged with this address. */
  readonly size: number
  /** The digest of those bytes, by which any process can verify the whole without reading it again. */
  readonly digest?: { readonly algorithm: Algorithm; readonly hex: string } | undefined
  /** Of the store, when it saw those bytes: after a power cut they may not be there any more. */
  readonly run: string
}

export interface Seal {
  close(context: string, sealed: SealedUpload, io: Io): Promise<string>
  /** UPLOAD_UNKNOWN unless this text was made for this context. */
  open(context: string, address: string, io: Io): Promise<SealedUpload>
}

/** 64 random bits for each process and 32 that count: no iv comes twice under one key. */
const ivBytes = 12
const counterBytes = 4
const tagBytes = 16

/** AES-256-GCM with a key that all processes of a store share; the context (repository and pusher) is bound in. */
export function uploadSeal(store: ObjectStore): Seal {
  let secret: Promise<Buffer> | undefined
  const ivStart = randomBytes(ivBytes - counterBytes)
  let count = 0

  async function settle(io: Io): Promise<Buffer> {
    const found = await store.read(uploadSecretKey, io)
    if (found) return found.bytes
    const fresh = randomBytes(32)
    const options = { ...operation(io), condition: { ifAbsent: true } as const }
    if ((await store.write(uploadSecretKey, fresh, options)) && !store.lax) return fresh
    // Of two that made one at once the last has won.
    if (store.lax) await store.everybodySees?.(io)
    const record = await store.read(uploadSecretKey, io)
    if (!record) throw new Error(`record ${uploadSecretKey} cannot be read`)
    return record.bytes
  }

  async function key(io: Io): Promise<Buffer> {
    // Somebody who did not see it then may have written another since.
    if (store.lax) return settle(io)
    secret ??= settle(io)
    try {
      return await secret
    } catch (error) {
      secret = undefined
      throw error
    }
  }

  return {
    async close(context, { upload, size, digest, run }, io) {
      const iv = Buffer.alloc(ivBytes)
      ivStart.copy(iv)
      iv.writeUInt32BE(count++, ivBytes - counterBytes)
      const cipher = createCipheriv('aes-256-gcm', await key(io), iv).setAAD(Buffer.from(context))
      const plain = JSON.stringify([
        upload.id,
        upload.owner,
        upload.state,
        size,
        digest?.algorithm,
        digest?.hex,
        run,
      ])
      return Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]).toString(
        'base64url',
      )
    },

    async open(context, address, io) {
      const sealed = Buffer.from(address, 'base64url')
      // Base64 has many spellings of the same bytes; we wrote one.
      const isOurs = sealed.toString('base64url') === address
      if (!isOurs || sealed.length <= ivBytes + tagBytes) throw new RegistryError('UPLOAD_UNKNOWN')
      const decipher = createDecipheriv('aes-256-gcm', await key(io), sealed.subarray(0, ivBytes))
        .setAAD(Buffer.from(context))
        .setAuthTag(sealed.subarray(-tagBytes))
      try {
        const plain = Buffer.concat([decipher.update(sealed.subarray(ivBytes, -tagBytes)), decipher.final()])
        const [id, owner, state, size, algorithm, hex, run] = JSON.parse(plain.toString())
        return {
          upload: { id, owner, ...(state && { state }) },
          size,
          digest: algorithm && { algorithm, hex },
          run,
        }
      } catch (cause) {
        throw new RegistryError('UPLOAD_UNKNOWN', { cause })
      }
    },
  }
}
