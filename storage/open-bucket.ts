/** A bucket as the one state of a registry: opened, and made one if it is none. */
import { randomUUID } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { RegistryError } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import type { Bucket, Guarantees } from './bucket.ts'
import { agedMinutes, probeBucket, probeConditions } from './bucket-probe.ts'
import { bucketStore } from './bucket-store.ts'
import { type Format, isNewer, newFormat, parseFormat } from './format.ts'
import { formatKey } from './layout.ts'
import type { ObjectStore, StoredRecord } from './object-store.ts'
import { partBuffers } from './part-buffers.ts'
import type { BucketState } from './place.ts'
import { operation } from './record.ts'
import { s3Bucket } from './s3-bucket.ts'
import { whyUnusable } from './s3-remedies.ts'
import { type S3Settings, usualPatience } from './s3-requests.ts'

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
  // One of them is cut up.
  const most = partMemoryBytes / partBytes - 1
  return bucketStore(bucket, guarantees, partBuffers({ bytes: partBytes, most }))
}

/** Within this time a store has answered, or whoever waits is told that it does not. It outlasts four tries to connect. */
const firstAnswerMs = 25_000

/** What the bucket is to this program. Nothing is tried out in it. */
export async function lookIntoBucket(settings: S3Settings, name: string, io: Io): Promise<BucketState> {
  const bucket = s3Bucket(settings)
  const signal = AbortSignal.any([io.signal, AbortSignal.timeout(firstAnswerMs)])
  try {
    return { kind: 'bucket', name, ...(await stateOf(bucket, name, { signal })) }
  } catch (error) {
    return { kind: 'bucket', name, state: 'unreachable', reason: whyUnusable(error, name, settings) }
  } finally {
    bucket.close()
  }
}

/** The same, and what it was found to do. Leaves nothing in it. */
export async function inspectBucket(settings: S3Settings, name: string, io: Io): Promise<BucketState> {
  const seen = await lookIntoBucket(settings, name, io)
  if (seen.reason !== undefined) return seen
  // That the clocks are apart is one of the things to find out.
  const patience = { ...usualPatience, apartMs: Number.POSITIVE_INFINITY }
  const bucket = s3Bucket(settings, patience)
  const aged = s3Bucket({ ...settings, signedMsAgo: agedMinutes * 60_000 }, { ...patience, attempts: 1 })
  try {
    const { guarantees: _, ...found } = await probeBucket(bucket, io, aged)
    return { ...seen, ...found }
  } catch (error) {
    return { ...seen, state: 'unreachable', reason: whyUnusable(error, name, settings) }
  } finally {
    bucket.close()
    aged.close()
  }
}

/** More than what a look that was cut off has left (`probe/`). */
const glance = 1000

async function stateOf(
  bucket: Bucket,
  name: string,
  io: Io,
): Promise<{ readonly state: 'empty' | 'registry' | 'foreign' | 'newer'; readonly reason?: string }> {
  const record = await bucket.read(formatKey, io)
  if (!record) {
    const { entries } = await bucket.list('', { ...io, limit: glance })
    const other = entries.find(({ key }) => !key.startsWith('probe/'))
    if (!other) return { state: 'empty' }
    // Another server may have begun a registry in this moment.
    if (await bucket.read(formatKey, io)) return stateOf(bucket, name, io)
    const found = `${name} holds other objects (${other.key})`
    return { state: 'foreign', reason: `${found}: name an empty bucket or prefix with --storage` }
  }
  const format = parseFormat(record.bytes)
  if (!format)
    return { state: 'foreign', reason: `${formatKey} in ${name} is damaged: restore it from a backup` }
  if (!isNewer(format)) return { state: 'registry' }
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

/** Throws with a remedy. Who is going to serve from it inspects it first, which finds out more. */
export async function openBucket(settings: S3Settings, name: string, io: Io): Promise<OpenBucket> {
  const { state, reason } = await lookIntoBucket(settings, name, io)
  if (reason !== undefined) throw new Error(reason)
  const bucket = s3Bucket(settings)
  try {
    const { guarantees, reason } = await probeConditions(bucket, io)
    if (reason !== undefined) throw new RegistryError('STORAGE_UNAVAILABLE', { message: reason })
    const store = storeOf(bucket, guarantees)
    const created = { ...operation(io), condition: { ifAbsent: true } as const }
    if (state === 'empty')
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
