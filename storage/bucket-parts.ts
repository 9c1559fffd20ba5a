/** Bytes on their way into a bucket: gathered into parts of one size, which are the content's own. */
import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { crc32 } from 'node:zlib'
import type { Io } from '../oci/io.ts'
import type { Bucket, MultipartId, Part } from './bucket.ts'
import type { Witness } from './object-store.ts'
import type { PartBuffers } from './part-buffers.ts'

/** Parts that were stored, each full, and the bytes behind them that do not make one yet. */
export interface Parts {
  /** Of the content. */
  readonly key: string
  /** Of the multipart upload; undefined as long as all fits one part. */
  readonly uploadId?: string | undefined
  readonly count: number
  /** Stands for all full parts: see `chained`. */
  readonly chain: string
  /** CRC-32 of all bytes; undefined where nobody has seen them all. */
  readonly crc: number | undefined
  readonly size: number
}

export const noParts = (key: string): Parts => ({ key, count: 0, chain: '', crc: 0, size: 0 })

/** What two different rows of parts do not share: so those of another writer are noticed. */
export const chained = (chain: string, { etag }: Part) =>
  createHash('sha256').update(`${chain} ${etag}`).digest('base64url').slice(0, 22)

/** What came of a source. */
export interface Gathered {
  readonly parts: Parts
  /** The full parts that are new. */
  readonly added: readonly Part[]
  /** The bytes behind them, until the writer's buffer is given back. */
  readonly rest: Buffer
  /** The source failed, and what came before that is here. */
  readonly cut?: { readonly error: unknown }
}

export interface PartWriter {
  /** Stores all that a source yields, but for the rest. Fails where the store does, when nothing is under way any more. */
  add(source: Readable, witness: Witness): Promise<Gathered>
  /** Gives its buffer back. */
  release(): void
}

export interface PartWriterParts {
  readonly bucket: Bucket
  readonly buffers: PartBuffers
  readonly owner: string
  /** Of each multipart upload: what fitted one part may be content by now, and is never written again. */
  readonly newKey: () => string
  /** Called before a multipart upload is begun. */
  readonly admit: () => Promise<void>
  /** What it fails with where the multipart upload is no more. */
  readonly gone: () => Error
}

/** Parts of one upload that are under way at once, where there are buffers for them. */
const width = 2

const nothing = Buffer.alloc(0)

/**
 * Goes on behind the full parts of `before` with a buffer of its own, into which the bytes behind those were or will be
 * read. `signal` ends its waits for another.
 */
export function partWriter(
  { bucket, buffers, owner, newKey, admit, gone }: PartWriterParts,
  before: Parts,
  first: { readonly buffer: Buffer; readonly filled: number },
  signal: AbortSignal,
): PartWriter {
  // What a client sent before it went away is stored as well.
  const io: Io = new AbortController()
  let { key, uploadId, count, crc, size } = before
  const added: Part[] = []
  let { buffer, filled } = first
  const sending = new Set<Promise<void>>()
  let failure: { readonly error: unknown } | undefined

  /** Never rejects. Its buffer goes back, to whoever waits for one: so all who send much get on in turns. */
  async function send(upload: MultipartId, bytes: Buffer, number: number): Promise<void> {
    try {
      const part = await bucket.putPart(upload, number, bytes, io)
      if (!part) throw gone()
      added[number - 1 - before.count] = part
    } catch (error) {
      failure ??= { error }
    }
    buffers.give(bytes)
  }

  /** There is more than a piece holds. */
  async function widen(): Promise<void> {
    const piece = buffer
    const whole = await buffers.take(owner, buffers.bytes, signal)
    piece.copy(whole, 0, 0, filled)
    buffer = whole
    buffers.give(piece)
  }

  /** The buffer is full: it goes to the store while another fills, where there is one. */
  async function turn(): Promise<void> {
    if (uploadId === undefined) {
      await admit()
      key = newKey()
      uploadId = await bucket.startMultipart(key, io)
    }
    const sent = send({ key, uploadId }, buffer, ++count).then(() => void sending.delete(sent))
    sending.add(sent)
    buffer = nothing
    filled = 0
    const spare = sending.size < width ? buffers.tryTake(owner) : undefined
    if (spare) buffer = spare
    else {
      await Promise.race(sending)
      if (!failure) buffer = await buffers.take(owner, buffers.bytes, signal)
    }
    if (failure) throw failure.error
  }

  async function take(chunk: Buffer): Promise<void> {
    for (let from = 0; from < chunk.length; ) {
      // Not when it is full, but when there is more: the last part may be as long as the others.
      if (filled === buffer.length) await (filled < buffers.bytes ? widen() : turn())
      const copied = chunk.copy(buffer, filled, from)
      filled += copied
      from += copied
    }
  }

  return {
    async add(source, witness) {
      let cut: { readonly error: unknown } | undefined
      try {
        // Whoever sends is still to be told what went wrong here.
        for await (const chunk of source.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
          witness.update(chunk)
          if (crc !== undefined) crc = crc32(chunk, crc)
          size += chunk.length
          await take(chunk).catch(error => {
            failure ??= { error }
            throw error
          })
        }
      } catch (error) {
        cut = { error }
      }
      await Promise.all(sending)
      if (failure) throw failure.error
      const chain = added.reduce(chained, before.chain)
      const parts = { key, uploadId, count, chain, crc, size }
      return { parts, added, rest: buffer.subarray(0, filled), ...(cut && { cut }) }
    },

    release() {
      if (buffer !== nothing) buffers.give(buffer, count > before.count ? buffer.length : filled)
    },
  }
}
