/** How an upload into a bucket stands: by its address, and by what the bucket holds of it. */
import { RegistryError } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import { nonce } from '../oci/nonce.ts'
import type { Bucket, MultipartId, OpenMultipart, Part, StoredPart } from './bucket.ts'
import { chained, type Parts } from './bucket-parts.ts'
import { contentKey } from './layout.ts'
import { graceMs } from './record.ts'

export const newKey = (id: string) => `${contentKey(id)}.${nonce()}`
export const multipartStart = (id: string) => `${contentKey(id)}.`

export const unknown = () => new RegistryError('UPLOAD_UNKNOWN')
export const busy = () => new RegistryError('UPLOAD_BUSY', { headers: { 'Retry-After': '1' } })

/** What an upload's address says of it. */
export interface State extends Parts {
  /** The part behind the full ones, where it is stored already. */
  readonly last?: Part | undefined
  /** Where the bytes behind the full parts are kept apart, unless they were to be the last. */
  readonly tail?: string | undefined
  /** The tail before that: nobody goes on from there any more who has this state. */
  readonly spent?: string | undefined
  /** When its last byte came. */
  readonly modifiedMs: number
}

/** An upload as this process has left it. */
export interface Known {
  readonly state: State | 'gone'
  /** The state that it has grown from: whoever comes with that one has not heard of the growth. */
  readonly from: string | undefined
  /** All full parts, where they are known. */
  readonly parts?: readonly Part[] | undefined
  /** It is one object under its key, and grows no more. */
  readonly isWhole?: true
}

/** An object that nobody has named for so long may be collected at any moment, so it is never named any more. */
export const isForgotten = ({ uploadId, modifiedMs }: State) =>
  uploadId === undefined && Date.now() - modifiedMs > graceMs

/** What is known of uploads by looking. */
export function uploadsIn(bucket: Bucket, partBytes: number) {
  /**
   * Of an upload that another process has written to: its parts must be those that the state stands for. Full ones
   * behind them are what a process has stored that died before it could say so.
   */
  async function verified(state: State, io: Io): Promise<Known> {
    const { key, uploadId, count, chain, size } = state
    const from = encode(state)
    if (uploadId === undefined) return { state, from }
    const stored = await bucket.parts({ key, uploadId }, io)
    if (!stored) throw unknown()
    const full = fullOf(stored)
    const parts = full.slice(0, count)
    // Whoever has replaced them goes on with them.
    if (parts.reduce(chained, '') !== chain) throw unknown()
    if (full.length * partBytes <= size) return { state, from, parts }
    return { state: { ...stateOf({ key, uploadId }, stored), spent: state.tail }, from, parts: full }
  }

  /** What a process that died has stored of an upload's first bytes: its full parts. */
  async function findOpen(id: string, io: Io): Promise<Known | undefined> {
    const open = await bucket.multiparts(multipartStart(id), io)
    const latest = open.toSorted((a, b) => b.startedMs - a.startedMs)[0]
    if (!latest) return undefined
    const stored = await bucket.parts(latest, io)
    if (!stored) throw unknown()
    return { state: stateOf(latest, stored), from: undefined, parts: fullOf(stored) }
  }

  /** Those from the first on that can be gone on behind. */
  function fullOf(stored: readonly StoredPart[]): readonly StoredPart[] {
    const end = stored.findIndex(({ size, number }, index) => size !== partBytes || number !== index + 1)
    return end < 0 ? stored : stored.slice(0, end)
  }

  /** How an upload is gone on with of which only its parts are known. */
  function stateOf(
    { key, uploadId, startedMs = 0 }: MultipartId & Partial<OpenMultipart>,
    stored: readonly StoredPart[],
  ): State {
    const full = fullOf(stored)
    const times = stored.map(each => each.modifiedMs)
    return {
      key,
      uploadId,
      count: full.length,
      chain: full.reduce(chained, ''),
      crc: undefined,
      size: full.length * partBytes,
      modifiedMs: times.reduce((latest, each) => Math.max(latest, each), startedMs),
    }
  }

  return { verified, findOpen }
}

export const encode = ({ key, uploadId, count, chain, crc, size, modifiedMs, last, tail, spent }: State) =>
  JSON.stringify([key, uploadId, count, chain, crc, size, modifiedMs, spent, last?.etag, last?.crc32, tail])

export function decode(text: string): State {
  // Sealed by us: see seal.ts. JSON has null for what is undefined.
  const [key, uploadId, count, chain, crc, size, modifiedMs, spent, etag, own, tail] = JSON.parse(text)
  return {
    key,
    uploadId: uploadId ?? undefined,
    count,
    chain,
    crc: crc ?? undefined,
    size,
    modifiedMs,
    spent: spent ?? undefined,
    last: etag === null ? undefined : { etag, crc32: own },
    tail: tail ?? undefined,
  }
}
