/**
 * Uploads into a bucket. Their bytes lie where they will stay from the first one on: as an object of their own while they
 * fit one part, as parts of a multipart upload afterwards. Where that is is said by the upload's `state`, which is in its
 * address: so any process can take the next request. Nobody keeps two of them from adding to one upload, but each adds to
 * what its address says, and no two write one object: what is completed is what one of them has hashed.
 *
 *   d/<ii>/<id>.<nonce>    the content; the nonce is drawn by whoever begins to write it
 *   u/<id>/<nonce>         the bytes behind the last full part, when another request may add to them: see bucket-tails.ts
 */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { RegistryError, unlessFault } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import type { Bucket } from './bucket.ts'
import { type Gathered, noParts, partWriter } from './bucket-parts.ts'
import { afterwardsMs, tailsIn } from './bucket-tails.ts'
import {
  busy,
  decode,
  encode,
  isForgotten,
  type Known,
  multipartStart,
  newKey,
  type State,
  unknown,
  uploadsIn,
} from './bucket-upload-states.ts'
import { contentStart, isContentId, newContentId } from './content-id.ts'
import type { ObjectStore, Upload } from './object-store.ts'
import type { PartBuffers } from './part-buffers.ts'
import { operation } from './record.ts'

type UploadMethods = Pick<
  ObjectStore,
  'run' | 'begin' | 'uploaded' | 'append' | 'reread' | 'complete' | 'abort' | 'uploads'
>

const gone: Known = { state: 'gone', from: undefined }
/** Those of which most is known have 10,000 parts. */
const capacity = {
  max: 5000,
  maxSize: 100_000,
  sizeCalculation: ({ parts = [] }: Known) => 1 + parts.length,
}
const nothing = Buffer.alloc(0)

export function bucketUploads(bucket: Bucket, buffers: PartBuffers): UploadMethods {
  const known = new LRUCache<string, Known>(capacity)
  const writing = new Set<string>()
  const { verified, findOpen } = uploadsIn(bucket, buffers.bytes)
  const tails = tailsIn(bucket, buffers)

  /** What this process knows of an upload. Throws UPLOAD_UNKNOWN when it is gone. */
  function remembered(upload: Upload): Known | undefined {
    const mine = known.get(upload.id)
    if (mine?.state === 'gone') throw unknown()
    if (upload.state !== undefined && isForgotten(decode(upload.state))) throw unknown()
    return mine && (mine.from === upload.state || encode(mine.state) === upload.state) ? mine : undefined
  }

  /** How an upload stands; undefined before its first byte. Throws UPLOAD_UNKNOWN when it is gone. */
  async function standing(upload: Upload, io: Io): Promise<Known | undefined> {
    const mine = remembered(upload)
    if (mine) return mine
    return upload.state === undefined ? findOpen(upload.id, io) : verified(decode(upload.state), io)
  }

  /** The state that bytes are added to at an offset. Throws UPLOAD_OUT_OF_ORDER, UPLOAD_UNKNOWN. */
  function stateAt(upload: Upload, now: Known | undefined, offset: number, replaces: boolean): State {
    const fresh = { ...noParts(newKey(upload.id)), modifiedMs: Date.now() }
    if (!now) {
      if (offset > 0) throw unknown()
      return fresh
    }
    if (now.state === 'gone' || now.isWhole) throw unknown()
    if (now.state.size === offset) return now.state
    if (now.state.size < offset || !replaces) throw new RegistryError('UPLOAD_OUT_OF_ORDER')
    const said = upload.state === undefined ? fresh : decode(upload.state)
    if (said.size !== offset) throw new RegistryError('UPLOAD_OUT_OF_ORDER')
    return said
  }

  /** How an upload stands behind what came. */
  async function grown(
    upload: Upload,
    before: State,
    { parts, rest, cut }: Gathered,
    isLast: boolean,
    io: Io,
  ): Promise<State> {
    const isEmpty = before.size === 0 && before.uploadId === undefined
    if (isEmpty && parts.size === 0 && cut) throw cut.error
    if (!isEmpty && parts.size === before.size) return before
    // What a client sent before it went away is stored as well.
    const after = cut ? { signal: AbortSignal.timeout(afterwardsMs) } : io
    const sequel = cut ? 'rest' : isLast ? 'nothing' : 'more'
    const state = await tails.store(upload, before, parts, rest, sequel, after)
    tails.discard(before.spent)
    return { ...state, spent: before.tail }
  }

  /** What is there is to be looked at again. */
  function forget(id: string): void {
    if (known.get(id)?.state !== 'gone') known.delete(id)
  }

  async function alone<T>(upload: Upload, act: () => Promise<T>): Promise<T> {
    if (writing.has(upload.id)) throw busy()
    writing.add(upload.id)
    try {
      return await act()
    } finally {
      writing.delete(upload.id)
    }
  }

  /** Makes an upload one object, and says under which key. Asked again it says the same. */
  async function join(upload: Upload, { state: before, parts }: Known, io: Io): Promise<string> {
    if (before === 'gone') throw unknown()
    const state = await tails.settle(upload, before, io)
    const { last, tail, spent, uploadId, ...whole } = state
    const { key, size, crc } = whole
    if (uploadId !== undefined && size === 0) {
      // Begun, and then died: a multipart upload without parts cannot become an object.
      await bucket.abortMultipart({ key, uploadId }, io)
      await bucket.put(key, nothing, operation(io))
    } else if (uploadId !== undefined) {
      const full = parts ?? (await verified(state, io)).parts ?? []
      const all = { parts: last ? [...full, last] : full, crc32: crc }
      if (!(await bucket.completeMultipart({ key, uploadId }, all, operation(io)))) throw unknown()
    }
    // Whoever completes it may fail yet at what comes next, and try again: forgotten it is by `abort`.
    known.set(upload.id, { state: whole, from: upload.state, isWhole: true })
    tails.discard(tail, spent)
    return key
  }

  return {
    // What a bucket has acknowledged it has.
    run: '',

    begin(owner) {
      return { id: newContentId(startOf(owner)), owner }
    },

    async uploaded(upload, io) {
      const now = await standing(upload, io)
      if (!now || now.state === 'gone') return undefined
      const { state } = now
      return { size: state.size, modifiedMs: state.modifiedMs, upload: { ...upload, state: encode(state) } }
    },

    append: (
      upload,
      source,
      { offset, replaces = false, isLast = false, witness, signal, admit = async () => {} },
    ) =>
      alone(upload, async () => {
        const io = { signal }
        const stream = source.open()
        // One that fails before anybody reads it tells whoever reads it then.
        stream.on('error', () => {})
        const isFirst = replaces && upload.state === undefined && offset === 0
        const now = isFirst ? remembered(upload) : await standing(upload, io)
        const before = stateAt(upload, now, offset, replaces)
        const { id, owner } = upload
        const filled = tails.lengthOf(before)
        const buffer = await buffers.take(owner, filled, signal)
        const writer = partWriter(
          { bucket, buffers, owner, newKey: () => newKey(id), admit, gone: unknown },
          before,
          { buffer, filled },
          signal,
        )
        const stop = () => stream.destroy(signal.reason instanceof Error ? signal.reason : undefined)
        signal.addEventListener('abort', stop, { once: true })
        if (signal.aborted) stop()
        const store = async () => {
          await tails.read(before, buffer, io)
          const gathered = await writer.add(stream, witness)
          const { cut, added } = gathered
          const state = await grown(upload, before, gathered, isLast, io)
          if (known.get(upload.id)?.state === 'gone') throw unknown()
          const earlier = before.count === 0 ? [] : now?.parts?.slice(0, before.count)
          if (state)
            known.set(upload.id, { state, from: upload.state, parts: earlier && [...earlier, ...added] })
          return { state, cut }
        }
        try {
          const { state, cut } = await store().catch(error => {
            forget(upload.id)
            throw error
          })
          if (cut) throw cut.error
          return { upload: { ...upload, state: encode(state) }, size: state.size }
        } finally {
          signal.removeEventListener('abort', stop)
          writer.release()
        }
      }),

    reread: (upload, io) =>
      alone(upload, async () => {
        const now = await standing(upload, io).catch(unlessFault('UPLOAD_UNKNOWN'))
        if (!now || now.state === 'gone') return undefined
        const { state } = now
        const key = state.uploadId === undefined ? (state.tail ?? state.key) : await join(upload, now, io)
        return (await bucket.get(key, io))?.stream
      }),

    complete: (upload, size, io) =>
      alone(upload, async () => {
        const now = await standing(upload, io)
        if (!now || now.state === 'gone') throw unknown()
        if (now.state.size !== size) throw busy()
        return join(upload, now, io)
      }),

    /** What fits one part is left to the collector: it may be content already, for all that is known here. */
    async abort(upload, io) {
      const found = known.get(upload.id)
      const mine = found?.state
      known.set(upload.id, gone)
      const isOver = mine === 'gone' || (found?.isWhole && found.from === upload.state)
      if (isOver && upload.state !== undefined) return
      const said = upload.state === undefined ? [] : [decode(upload.state)]
      const states = typeof mine === 'object' ? [mine, ...said] : said
      // Several processes may each have begun one.
      const open = upload.state === undefined ? await bucket.multiparts(multipartStart(upload.id), io) : []
      const uploadIds = new Map<string, string>()
      for (const { key, uploadId } of [...states, ...open])
        if (uploadId !== undefined) uploadIds.set(uploadId, key)
      await Promise.all([...uploadIds].map(([uploadId, key]) => bucket.abortMultipart({ key, uploadId }, io)))
      if (upload.state === undefined || uploadIds.size > 0) await tails.sweep(upload.id, io)
      else tails.discard(...states.flatMap(({ tail, spent }) => [tail, spent]))
    },

    async uploads(owner, io) {
      const open = await bucket.multiparts('d/', io)
      const ids = new Set(open.map(({ key }) => key.slice(key.lastIndexOf('/') + 1).split('.')[0] ?? ''))
      if (owner === undefined) for (const id of await tails.forgotten(io)) ids.add(id)
      return [...ids]
        .filter(id => isContentId(id) && (owner === undefined || contentStart(id) === startOf(owner)))
        .map(id => ({ id, owner: owner ?? '' }))
    },
  }
}

/** What ids of one owner's uploads have in common, so that they can be counted. */
const startOf = (owner: string) => createHash('sha256').update(owner).digest('hex').slice(0, 8)
