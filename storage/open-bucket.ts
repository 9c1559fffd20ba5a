/** A bucket as the one state of a registry: opened, and made one if it is none. */
import { randomUUID } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { RegistryError } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import type { Bucket, Guarantees } from './bucket.ts'
import { probeBucket } from './bucket-probe.ts'
import { bucketStore } from './bucket-store.ts'
import { type Format, isNewer, newFormat, parseFormat } from './format.ts'
import { formatKey } from './layout.ts'
import type { ObjectStore, StoredRecord } from './object-store.ts'
import { partBuffers } from './part-buffers.ts'
import type { BucketState } from './place.ts'
import { operation } from './record.ts'
import { s3Bucket } from './s3-bucket.ts'
import type { S3Settings } from './s3-requests.ts'

export interface OpenBucket {
  readonly store: ObjectStore
  readonly format: Format
  readonly guarantees: Guarantees
  close(): Promise<void>
}

/** Of all parts of one upload but the last: what some stores demand, and 10,000 of them are 156 GiB. */
const partBytes = 16 * 1024 * 1024
/** What unfinished parts may take of a process's memory, whoever uploads them. */
const partMemoryBytes = 256 * 1024 * 1024

function storeOf(bucket: Bucket, guarantees: Guarantees): ObjectStore {
  return bucketStore(bucket, guarantees, partBuffers({ bytes: partBytes, most: partMemoryBytes / partBytes }))
}

/** What the bucket is to this program, and what it was found to do. Leaves nothing in it. */
export async function inspectBucket(settings: S3Settings, name: string, io: Io): Promise<BucketState> {
  const bucket = s3Bucket(settings)
  try {
    const record = await bucket.read(formatKey, io)
    const format = record && parseFormat(record.bytes)
    const unfit = record && misfit(name, format)
    if (unfit) return { kind: 'bucket', name, ...unfit }
    const { tier, findings, reason } = await probeBucket(bucket, io)
    const state = record ? 'registry' : 'empty'
    return { kind: 'bucket', name, state, tier, findings, ...(reason !== undefined && { reason }) }
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error)
    const reason = `bucket ${name} cannot be used: ${said}: see storage.s3`
    return { kind: 'bucket', name, state: 'unreachable', reason }
  } finally {
    bucket.close()
  }
}

function misfit(name: string, format: Format | undefined): Pick<BucketState, 'state' | 'reason'> | undefined {
  if (!format)
    return { state: 'foreign', reason: `${formatKey} in ${name} is damaged: restore it from a backup` }
  if (!isNewer(format)) return undefined
  return {
    state: 'newer',
    reason: `${name} was written by a newer slipway (format ${format.min_reader}): update slipway`,
  }
}

export async function peekBucket(
  settings: S3Settings,
  key: string,
  io: Io,
): Promise<StoredRecord | undefined> {
  const bucket = s3Bucket(settings)
  try {
    return await bucket.read(key, io)
  } finally {
    bucket.close()
  }
}

/** Throws with a remedy where the bucket cannot be served from. */
export async function openBucket(settings: S3Settings, io: Io): Promise<OpenBucket> {
  const bucket = s3Bucket(settings)
  try {
    const { guarantees, reason } = await probeBucket(bucket, io)
    if (reason !== undefined) throw new RegistryError('STORAGE_UNAVAILABLE', { message: reason })
    const store = storeOf(bucket, guarantees)
    const created = { ...operation(io), condition: { ifAbsent: true } as const }
    if (!(await store.read(formatKey, io)))
      await store.write(formatKey, Buffer.from(JSON.stringify(newFormat(randomUUID()))), created)
    return { store, guarantees, format: await formatIn(store, io), close: () => store.close() }
  } catch (error) {
    bucket.close()
    throw error
  }
}

/**
 * Bytes of requests lie outside of V8's heap and are soon done with, yet for every 25 MB of them it would search the whole
 * heap: a third of what a large push costs. So they count as the rest of the memory does.
 */
const collectRarely = () => setFlagsFromString('--external-memory-accounted-in-global-limit')

/** Opens a bucket that another process of this machine has opened and found to do these things. */
export async function joinBucket(settings: S3Settings, guarantees: Guarantees, io: Io): Promise<OpenBucket> {
  collectRarely()
  const store = storeOf(s3Bucket(settings), guarantees)
  return { store, guarantees, format: await formatIn(store, io), close: () => store.close() }
}

async function formatIn(store: ObjectStore, io: Io): Promise<Format> {
  const record = await store.read(formatKey, io)
  const format = record && parseFormat(record.bytes)
  if (!format) throw new Error(`${formatKey} in the bucket is damaged: restore it from a backup`)
  return format
}
