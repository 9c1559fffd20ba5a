/** Uploads into a bucket, step by step, and what becomes of them. */
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { expect } from 'vitest'
import type { Bucket } from '../../storage/bucket.ts'
import { bucketStore } from '../../storage/bucket-store.ts'
import type { AppendOptions, ObjectStore, Upload } from '../../storage/object-store.ts'
import { type PartBuffers, partBuffers } from '../../storage/part-buffers.ts'

export const io = { signal: new AbortController().signal }
export const unknown = { fault: 'UPLOAD_UNKNOWN' }

/** The least that engines take. */
export const partBytes = 5 * 1024 * 1024
const conditions = { conditionalWrite: true, conditionalRemove: false }
export const storeOver = (
  bucket: Bucket,
  buffers: PartBuffers = partBuffers({ bytes: partBytes, most: 4 }),
) => bucketStore(bucket, conditions, buffers)

export function* pieces(whole: Buffer) {
  for (let at = 0; at < whole.length; at += 65_536) yield whole.subarray(at, at + 65_536)
}

export async function append(
  store: ObjectStore,
  upload: Upload,
  whole: Buffer,
  offset: number,
  options: Partial<AppendOptions> = {},
): Promise<Upload> {
  const source = { open: () => Readable.from(pieces(whole)) }
  const added = await store.append(upload, source, { ...io, offset, witness: { update() {} }, ...options })
  expect(added.size).toBe(offset + whole.length)
  return added.upload
}

export async function contentAt(store: ObjectStore, key: string): Promise<Buffer> {
  const found = await store.open(key, io)
  if (found?.kind !== 'stream') throw new Error('expected a stream')
  return buffer(found.stream)
}

export const sizeAt = async (store: ObjectStore, upload: Upload) => (await store.uploaded(upload, io))?.size

/** A source that yields these bytes and then nothing, neither more nor its end. */
export function hanging(whole: Buffer): PassThrough {
  const source = new PassThrough({ highWaterMark: whole.length + 1 })
  source.write(whole)
  return source
}

/** Counts the buffers for a whole part that somebody has. */
export function watchedBuffers(buffers: PartBuffers) {
  const out = new Set<Buffer>()
  let most = 0
  const handed = (given: Buffer) => {
    if (given.length < buffers.bytes) return given
    expect(out.has(given)).toBe(false)
    out.add(given)
    most = Math.max(most, out.size)
    return given
  }
  const watched: PartBuffers = {
    ...buffers,
    take: async (...asked) => handed(await buffers.take(...asked)),
    tryTake(owner) {
      const given = buffers.tryTake(owner)
      return given && handed(given)
    },
    give(given, used) {
      expect(out.delete(given)).toBe(given.length === buffers.bytes)
      buffers.give(given, used)
    },
  }
  return { watched, held: () => ({ now: out.size, most }) }
}
