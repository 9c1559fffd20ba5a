import type { Io } from '../oci/io.ts'
import { parseManifest } from '../oci/manifest.ts'
import type { Digest } from '../oci/names.ts'
import { nonce } from '../oci/nonce.ts'
import { digestOfKey, manifestKey, manifestPrefix, type Rid } from './layout.ts'
import type { ObjectStore, StoredRecord } from './object-store.ts'
import { everyKey } from './pages.ts'

/** A manifest's record: one line of JSON, a line feed, and the bytes as they were pushed. */
interface Header {
  readonly v: 1
  /** Media type; its bytes' length; when and by whom it was pushed; whom it refers to. */
  readonly mt: string
  readonly s: number
  readonly at: number
  readonly by: string
  readonly sub?: Digest | undefined
  /** Somebody is deleting it. It is served until it is gone, and a push does not rely on it any more. */
  readonly leaving?: true
}

export interface HeldManifest {
  readonly record: StoredRecord
  readonly digest: Digest
  readonly header: Header
  readonly bytes: Buffer
}

const lineFeed = 0x0a

export function encodeManifest(header: Omit<Header, 'v' | 's'>, bytes: Buffer): Buffer {
  const line = JSON.stringify({ v: 1, ...header, s: bytes.length, n: nonce() })
  return Buffer.concat([Buffer.from(`${line}\n`), bytes])
}

const decoded = new WeakMap<StoredRecord, Omit<HeldManifest, 'record' | 'digest'>>()

function decode(record: StoredRecord) {
  const known = decoded.get(record)
  if (known) return known
  const end = record.bytes.indexOf(lineFeed)
  const header = JSON.parse(record.bytes.toString('utf8', 0, end)) as Header
  const held = { header, bytes: record.bytes.subarray(end + 1) }
  if (held.bytes.length !== header.s)
    throw new Error(`a manifest record holds ${held.bytes.length} bytes of ${header.s}`)
  decoded.set(record, held)
  return held
}

export const heldManifest = (record: StoredRecord, digest: Digest): HeldManifest => ({
  record,
  digest,
  ...decode(record),
})

export async function readManifest(
  store: ObjectStore,
  rid: Rid,
  digest: Digest,
  io: Io,
): Promise<HeldManifest | undefined> {
  const record = await store.read(manifestKey(rid, digest), io)
  return record && heldManifest(record, digest)
}

/** Whether any manifest of a repository names this blob. Reads them all: for deletes, which are rare. */
export async function isReferenced(store: ObjectStore, rid: Rid, blob: Digest, io: Io): Promise<boolean> {
  for await (const keys of everyKey(store, manifestPrefix(rid), io))
    for (const key of keys) {
      const held = await readManifest(store, rid, digestOfKey(key), io)
      if (held && parseManifest(held.header.mt, held.bytes).blobs.includes(blob)) return true
    }
  return false
}
