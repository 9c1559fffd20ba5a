/** Buckets as the store gets them, of an engine or in memory, and how to look at what is asked of them. */
import { createHash, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { crc32 } from 'node:zlib'
import { onTestFinished } from 'vitest'
import { RegistryError } from '../../oci/errors.ts'
import type { Bucket, StoredPart } from '../../storage/bucket.ts'
import type { Condition } from '../../storage/object-store.ts'
import { s3Bucket } from '../../storage/s3-bucket.ts'
import type { S3Place } from './s3-requests.ts'

/** A bucket of an engine, or of a wire to one, until the test ends. */
export function bucketAt({ endpoint, region, accessKeyId, secretAccessKey }: S3Place, name: string): Bucket {
  const bucket = s3Bucket({
    bucket: name,
    endpoint: endpoint.href,
    region,
    pathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  })
  onTestFinished(() => bucket.close())
  return bucket
}

export type Asked = { readonly [Method in keyof Bucket]?: number }

/** The same bucket, and how often each of its methods was called since the last look. */
export function counted(bucket: Bucket): { readonly bucket: Bucket; asked(): Asked } {
  let asked: Asked = {}
  const counting = Object.entries(bucket).map(([name, method]: [string, (...args: never[]) => unknown]) => [
    name,
    (...args: never[]) => {
      asked = { ...asked, [name]: (asked[name as keyof Bucket] ?? 0) + 1 }
      return method(...args)
    },
  ])
  return {
    // The same names with the same methods.
    bucket: Object.fromEntries(counting) as Bucket,
    asked() {
      const said = asked
      asked = {}
      return said
    },
  }
}

interface MemoryObject {
  readonly bytes: Buffer
  readonly etag: string
  readonly modifiedMs: number
}

/** A bucket that keeps every promise. */
export function memoryBucket(): Bucket {
  const objects = new Map<string, MemoryObject>()
  const uploads = new Map<
    string,
    {
      readonly key: string
      readonly startedMs: number
      readonly parts: Map<number, StoredPart & { readonly bytes: Buffer }>
    }
  >()

  const holds = (key: string, condition: Condition | undefined) =>
    condition === undefined ||
    ('ifAbsent' in condition ? !objects.has(key) : objects.get(key)?.etag === condition.ifMatch)
  const store = (key: string, bytes: Buffer) => {
    // As stores make it: the same bytes have the same.
    const etag = `"${createHash('md5').update(bytes).digest('hex')}"`
    const object = { bytes, etag, modifiedMs: Date.now() }
    objects.set(key, object)
    return object
  }

  return {
    read: async key => objects.get(key),
    locate: async () => undefined,
    async get(key, { range }) {
      const bytes = objects.get(key)?.bytes
      return (
        bytes && { size: bytes.length, stream: Readable.from([bytes.subarray(range?.start, range?.end)]) }
      )
    },
    head: async key => objects.get(key)?.bytes.length,
    put: async (key, bytes, { condition }) =>
      holds(key, condition) ? store(key, Buffer.from(bytes)) : undefined,
    async remove(key, { condition }) {
      if (objects.has(key) && !holds(key, condition)) return false
      objects.delete(key)
      return true
    },
    async list(prefix, { after = '', limit }) {
      const keys = [...objects.keys()].filter(key => key.startsWith(prefix) && key > after).sort()
      const entries = keys.slice(0, limit).map(key => ({ key, size: objects.get(key)?.bytes.length ?? 0 }))
      return { entries, more: keys.length > limit }
    },

    async startMultipart(key) {
      const uploadId = randomUUID()
      uploads.set(uploadId, { key, startedMs: Date.now(), parts: new Map() })
      return uploadId
    },
    async putPart({ uploadId }, number, given) {
      const bytes = Buffer.from(given)
      const part = {
        number,
        etag: `"${randomUUID()}"`,
        crc32: crc32(bytes),
        size: bytes.length,
        modifiedMs: Date.now(),
        bytes,
      }
      return uploads.get(uploadId)?.parts.set(number, part) && part
    },
    async parts({ uploadId }) {
      const parts = uploads.get(uploadId)?.parts.values()
      return parts && [...parts].sort((a, b) => a.number - b.number)
    },
    async completeMultipart({ key, uploadId }, { parts, crc32: crc }) {
      const held = uploads.get(uploadId)?.parts
      const named = parts.map(({ etag }, index) => {
        const part = held?.get(index + 1)
        return part?.etag === etag ? part.bytes : undefined
      })
      if (!held || named.includes(undefined)) return false
      const bytes = Buffer.concat(named.filter(each => each !== undefined))
      if (crc !== undefined && crc32(bytes) !== crc)
        throw new RegistryError('STORAGE_UNAVAILABLE', { message: 'BadDigest' })
      store(key, bytes)
      uploads.delete(uploadId)
      return true
    },
    abortMultipart: async ({ uploadId }) => void uploads.delete(uploadId),
    multiparts: async prefix =>
      [...uploads].flatMap(([uploadId, { key, startedMs }]) =>
        key.startsWith(prefix) ? [{ key, uploadId, startedMs }] : [],
      ),
    close() {},
  }
}

/** What tells the program, in its environment, to keep everything in a bucket. */
export const bucketVariables = (place: S3Place, name: string): Readonly<Record<string, string>> => ({
  SLIPWAY_STORAGE_S3_BUCKET: name,
  SLIPWAY_STORAGE_S3_ENDPOINT: place.endpoint.href,
  SLIPWAY_STORAGE_S3_REGION: place.region,
  SLIPWAY_STORAGE_S3_ACCESS_KEY_ID: place.accessKeyId,
  SLIPWAY_STORAGE_S3_SECRET_ACCESS_KEY: place.secretAccessKey,
})
