/** Where everything is kept: a folder of this machine, or a bucket. The one place that knows both. */
import { codeOf } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import type { Guarantees } from './bucket.ts'
import type { Finding } from './bucket-probe.ts'
import { type FolderReport, inspectFolder } from './folder-format.ts'
import type { StoredRecord } from './object-store.ts'
import type { OpenStore } from './open.ts'
import type { S3Settings } from './s3-requests.ts'

export type Place =
  | { readonly kind: 'folder'; readonly path: string; readonly durability: 'full' | 'relaxed' }
  | { readonly kind: 'bucket'; readonly settings: S3Settings }

export interface BucketState {
  readonly kind: 'bucket'
  /** As it is called in settings. */
  readonly name: string
  readonly state: 'empty' | 'registry' | 'foreign' | 'newer' | 'unreachable'
  readonly tier?: 'A' | 'B' | 'C'
  /** What it was found to do. */
  readonly findings?: readonly Finding[]
  /** What is wrong with it for clients that are sent to it. */
  readonly noRedirect?: string
  /** Why the bucket cannot be served from, and what to do. */
  readonly reason?: string
}

export type PlaceReport = (FolderReport & { readonly kind: 'folder' }) | BucketState

/** An open store; of a bucket also what it was found to do, for those who join. */
export interface OpenPlace extends OpenStore {
  readonly guarantees?: Guarantees
}

// The library for buckets takes a tenth of a second to read, and a folder needs none of it.
const buckets = () => import('./open-bucket.ts')
const folders = () => import('./open.ts')

/** How long a bucket may take to answer when it is opened. */
const patienceMs = 60_000
const soon = (): Io => ({ signal: AbortSignal.timeout(patienceMs) })

/** As a person knows it who is to see to it. */
export function storeOf(place: Place): string {
  if (place.kind === 'folder') return place.path
  const { endpoint, region } = place.settings
  return endpoint ?? `AWS in ${region}`
}

const nameOfBucket = ({ bucket, prefix }: S3Settings) => `s3://${bucket}${prefix ? `/${prefix}` : ''}`

/** What is there, but not what can be done with it. Leaves nothing behind. */
export async function lookAtPlace(place: Place): Promise<PlaceReport> {
  if (place.kind === 'folder') return inspectPlace(place)
  const { lookIntoBucket } = await buckets()
  return lookIntoBucket(place.settings, nameOfBucket(place.settings), soon())
}

/** What is there, and what can be done with it. Leaves nothing behind. */
export async function inspectPlace(place: Place): Promise<PlaceReport> {
  if (place.kind === 'folder') return { kind: 'folder', ...(await inspectFolder(place.path)) }
  const name = nameOfBucket(place.settings)
  const { inspectBucket } = await buckets()
  return inspectBucket(place.settings, name, soon())
}

/** Opens it, as the server or as a command beside one. Throws with a remedy where that cannot be. */
export async function openPlace(place: Place, role: 'server' | 'command'): Promise<OpenPlace> {
  if (place.kind === 'bucket')
    return (await buckets()).openBucket(place.settings, nameOfBucket(place.settings), soon())
  const { openFolder } = await folders()
  return openFolder(place.path, role, place).catch((cause: unknown) => {
    const code = codeOf(cause)
    if (code === undefined) throw cause
    const what = `data folder ${place.path} cannot be opened (${code})`
    throw new Error(`${what}: give it to this user, or name another with --data`, { cause })
  })
}

/** Opens what this process's parent has opened. */
export async function joinPlace(place: Place, guarantees: Guarantees | undefined): Promise<OpenPlace> {
  if (place.kind === 'folder') return (await folders()).joinFolder(place.path, place)
  if (!guarantees) throw new TypeError('a bucket is joined with what it was found to do')
  return (await buckets()).joinBucket(place.settings, guarantees, soon())
}

/** One record, of a place that is not opened. */
export async function peekAt(place: Place, key: string): Promise<StoredRecord | undefined> {
  if (place.kind === 'bucket') return (await buckets()).peekBucket(place.settings, key, soon())
  return (await import('./peek.ts')).peek(place.path, key)
}
