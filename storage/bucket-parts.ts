/** Bytes on their way into a bucket: gathered into parts of one size, which are the content's own. */
import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { crc32 } from 'node:zlib'
import type { Io } from '../oci/io.ts'
import type { Bucket, Part } from './bucket.ts'
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

export interface PartWriter {
  /** Stores all that a source yields. What came before it failed is kept as well. */
  add(source: Readable, witness: Witness): Promise<void>
  /** Resolves when all full parts have been stored; what is left is behind them. Rejects when one of them was not. */
  settle(): Promise<{ readonly parts: Parts; readonly added: readonly Part[]; readonly rest: Buffer }>
  /** Gives its buffer back. */
  release(): void
}

export interface PartWriterParts {
  readonly bucket: Bucket
  readonly buffers: PartBuffers
  /** Called before a multipart upload is begun. */
  readonly admit: () => Promise<void>
  /** What it fails with where the multipart upload is no more. */
  readonly gone: () => Error
}

/** Goes on behind `before`, whose last bytes are `tail`, with a buffer of its own. */
export function partWriter(
  { bucket, buffers, admit, gone }: PartWriterParts,
  before: Parts,
  tail: Buffer,
  first: Buffer,
): PartWriter {
  // What a client sent before it went away is stored as well.
  const io: Io = new AbortController()
  let { key, uploadId, count, crc, size } = before
  const added: Part[] = []
  let buffer = first
  let filled = tail.copy(buffer)
  const sending = new Set<Promise<void>>()
  let failure: { readonly error: unknown } | undefined

  async function send(bytes: Buffer, number: number): Promise<void> {
    if (uploadId === undefined) throw new Error('a part has nowhere to go')
    const part = await bucket.putPart({ key, uploadId }, number, bytes, io)
    if (!part) throw gone()
    added[number - 1 - before.count] = part
  }

  /** The buffer is full: it goes to the store while the next one fills, where there is one. */
  async function turn(): Promise<void> {
    if (failure) throw failure.error
    if (uploadId === undefined) {
      await admit()
      uploadId = await bucket.startMultipart(key, io)
    }
    const full = buffer
    const sent = send(full, ++count)
    filled = 0
    const spare = sending.size === 0 ? buffers.tryTake() : undefined
    if (spare === undefined) {
      await Promise.all([...sending, sent])
      return
    }
    buffer = spare
    const done: Promise<void> = sent
      .catch(error => {
        failure = { error }
      })
      .finally(() => {
        sending.delete(done)
        buffers.give(full)
      })
    sending.add(done)
  }

  return {
    async add(source, witness) {
      for await (const chunk of source as AsyncIterable<Buffer>) {
        witness.update(chunk)
        if (crc !== undefined) crc = crc32(chunk, crc)
        size += chunk.length
        for (let from = 0; from < chunk.length; ) {
          // Not when it is full, but when there is more: the last part may be as long as the others.
          if (filled === buffer.length) await turn()
          const copied = chunk.copy(buffer, filled, from)
          filled += copied
          from += copied
        }
      }
    },

    async settle() {
      await Promise.all(sending)
      if (failure) throw failure.error
      const chain = added.reduce(chained, before.chain)
      return { parts: { key, uploadId, count, chain, crc, size }, added, rest: buffer.subarray(0, filled) }
    },

    release() {
      void Promise.all(sending).then(() => buffers.give(buffer))
    },
  }
}
