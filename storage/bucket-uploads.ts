/**
 * Uploads into a bucket. Their bytes lie where they will stay from the first one on: as an object of their own while they
 * fit one part, as parts of a multipart upload afterwards. Where that is is said by the upload's `state`, which is in its
 * address: so any process can take the next request. Nobody keeps two of them from adding to one upload, but each adds to
 * what its address says, and no two write one object: what is completed is what one of them has hashed.
 *
 *   d/<ii>/<id>.<nonce>    the content; the nonce is drawn by whoever begins to write it
 *   u/<id>/<nonce>         the bytes behind the last full part, when another request may add to them
 *   u/<id>/gone            cancelled before its first byte
 */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { isFault, RegistryError } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import { nonce } from '../oci/nonce.ts'
import type { Bucket, Part } from './bucket.ts'
import { chained, noParts, type Parts, partWriter } from './bucket-parts.ts'
import { contentStart, isContentId, newContentId } from './content-id.ts'
import { contentKey } from './layout.ts'
import type { ObjectStore, Upload } from './object-store.ts'
import type { PartBuffers } from './part-buffers.ts'
import { operation } from './record.ts'

type UploadMethods = Pick<
  ObjectStore,
  'run' | 'begin' | 'uploaded' | 'append' | 'reread' | 'complete' | 'abort' | 'uploads'
>

/** What an upload's address says of it. */
interface State extends Parts {
  /** The last part, which is not full; its bytes are kept apart as well, unless it was to be the last. */
  readonly last?: (Part & { readonly tail?: string }) | undefined
}

/** An upload as this process has left it. */
interface Known {
  readonly state: State | 'gone'
  /** The state that it has grown from: whoever comes with that one has not heard of the growth. */
  readonly from: string | undefined
  /** All full parts, where they are known. */
  readonly parts?: readonly Part[] | undefined
  readonly modifiedMs: number
}

const remembered = 5000
/** Bytes of a client that went away are still stored within this. */
const afterwardsMs = 10_000

const unknown = () => new RegistryError('UPLOAD_UNKNOWN')
function unlessUnknown(error: unknown): undefined {
  if (!isFault(error, 'UPLOAD_UNKNOWN')) throw error
}

const busy = () => new RegistryError('UPLOAD_BUSY', { headers: { 'Retry-After': '1' } })

export function bucketUploads(bucket: Bucket, buffers: PartBuffers): UploadMethods {
  const known = new LRUCache<string, Known>({ max: remembered })
  /** Uploads that this process has named. */
  const begun = new LRUCache<string, true>({ max: remembered })
  const writing = new Set<string>()

  /** How an upload stands; undefined before its first byte. Throws UPLOAD_UNKNOWN when it is gone. */
  async function standing(upload: Upload, io: Io, exact = false): Promise<Known | undefined> {
    const mine = known.get(upload.id)
    if (mine?.state === 'gone') throw unknown()
    if (mine && (mine.from === upload.state || encode(mine.state) === upload.state)) return mine
    if (upload.state !== undefined) return verified(decode(upload.state), io)
    return begun.has(upload.id) && !exact ? undefined : findOpen(upload.id, io)
  }

  /** Of an upload that another process has written to: its parts must be those that the state stands for. */
  async function verified(state: State, io: Io): Promise<Known> {
    const { key, uploadId, count, chain } = state
    const from = encode(state)
    if (uploadId === undefined) return { state, from, modifiedMs: Date.now() }
    const stored = await bucket.parts({ key, uploadId }, io)
    if (!stored) throw unknown()
    const parts = stored.slice(0, count)
    if (parts.reduce(chained, '') !== chain) throw busy()
    return { state, from, parts, modifiedMs: stored.at(-1)?.modifiedMs ?? Date.now() }
  }

  /** What a process that died has stored of an upload's first bytes: its full parts. */
  async function findOpen(id: string, io: Io): Promise<Known | undefined> {
    const [open, marks] = await Promise.all([
      bucket.multiparts(`${contentKey(id)}.`, io),
      bucket.list(`u/${id}/gone`, { ...io, limit: 1 }),
    ])
    if (marks.entries.length > 0) throw unknown()
    const latest = open.toSorted((a, b) => b.startedMs - a.startedMs)[0]
    if (!latest) return undefined
    const { key, uploadId, startedMs } = latest
    const stored = (await bucket.parts(latest, io)) ?? []
    const full = stored.filter(({ size, number }, index) => size === buffers.bytes && number === index + 1)
    const chain = full.reduce(chained, '')
    const size = full.length * buffers.bytes
    const state = { key, uploadId, count: full.length, chain, crc: undefined, size }
    return { state, from: undefined, parts: full, modifiedMs: full.at(-1)?.modifiedMs ?? startedMs }
  }

  /** The state that bytes are added to at an offset. Throws UPLOAD_OUT_OF_ORDER, UPLOAD_UNKNOWN. */
  function stateAt(upload: Upload, now: Known | undefined, offset: number, replaces: boolean): State {
    const fresh = noParts(`${contentKey(upload.id)}.${nonce()}`)
    if (!now) {
      if (offset > 0) throw unknown()
      return fresh
    }
    if (now.state === 'gone') throw unknown()
    if (now.state.size === offset) return now.state
    if (now.state.size < offset || !replaces) throw new RegistryError('UPLOAD_OUT_OF_ORDER')
    const said = upload.state === undefined ? fresh : decode(upload.state)
    if (said.size !== offset) throw new RegistryError('UPLOAD_OUT_OF_ORDER')
    return said
  }

  /** The bytes of an upload behind its last full part. */
  async function tailOf({ key, uploadId, last, size, count }: State, io: Io): Promise<Buffer> {
    if (size === count * buffers.bytes) return Buffer.alloc(0)
    const from = uploadId === undefined ? key : last?.tail
    const found = from === undefined ? undefined : await bucket.read(from, io)
    if (found?.bytes.length !== size - count * buffers.bytes) throw unknown()
    return found.bytes
  }

  /** Stores what does not fill a part. */
  async function storeRest(id: string, parts: Parts, rest: Buffer, isLast: boolean, io: Io): Promise<State> {
    const options = operation(io)
    const { key, uploadId, count } = parts
    if (uploadId === undefined) {
      const own = { ...parts, key: `${contentKey(id)}.${nonce()}` }
      await bucket.put(own.key, rest, options)
      return own
    }
    if (rest.length === 0) return { ...parts, key }
    const tail = isLast ? undefined : `u/${id}/${nonce()}`
    const [last] = await Promise.all([
      bucket.putPart({ key, uploadId }, count + 1, rest, options),
      tail === undefined ? undefined : bucket.put(tail, rest, options),
    ])
    if (!last) throw unknown()
    return { ...parts, last: { ...last, ...(tail !== undefined && { tail }) } }
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

  /** Makes the parts one object, and says under which key. */
  async function join({ state, parts }: Known, io: Io): Promise<string> {
    if (state === 'gone') throw unknown()
    const { key, uploadId, last, size, crc } = state
    if (uploadId === undefined) return key
    const full = parts ?? (await verified(state, io)).parts ?? []
    const whole = { parts: last ? [...full, last] : full, size, crc32: crc }
    if (!(await bucket.completeMultipart({ key, uploadId }, whole, operation(io)))) throw unknown()
    if (last?.tail !== undefined) void bucket.remove(last.tail, operation(io)).catch(() => {})
    return key
  }

  return {
    // What a bucket has acknowledged it has.
    run: '',

    begin(owner) {
      const id = newContentId(startOf(owner))
      begun.set(id, true)
      return { id, owner }
    },

    async uploaded(upload, { signal, exact }) {
      const now = await standing(upload, { signal }, exact)
      return now && now.state !== 'gone' ? { size: now.state.size, modifiedMs: now.modifiedMs } : undefined
    },

    append: (
      upload,
      { stream },
      { offset, replaces = false, isLast = false, witness, signal, admit = async () => {} },
    ) =>
      alone(upload, async () => {
        const io = { signal }
        const now = await standing(upload, io)
        const before = stateAt(upload, now, offset, replaces)
        const tail = await tailOf(before, io)
        const first = await buffers.take(signal)
        const writer = partWriter({ bucket, buffers, admit, gone: unknown }, before, tail, first)
        const stop = () => stream.destroy(signal.reason instanceof Error ? signal.reason : undefined)
        signal.addEventListener('abort', stop, { once: true })
        let cut: { readonly error: unknown } | undefined
        try {
          await writer.add(stream, witness).catch(error => {
            cut = { error }
          })
          const { parts, added, rest } = await writer.settle()
          const after = cut ? { signal: AbortSignal.timeout(afterwardsMs) } : io
          const state = await storeRest(upload.id, parts, rest, isLast && !cut, after)
          const earlier = before.count === 0 ? [] : now?.state === before ? now.parts : undefined
          known.set(upload.id, {
            state,
            from: upload.state,
            parts: earlier && [...earlier, ...added],
            modifiedMs: Date.now(),
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
        const now = await standing(upload, io).catch(unlessUnknown)
        if (!now || now.state === 'gone') return undefined
        const key = await join(now, io)
        // An object from now on: it holds the same bytes.
        const { last: _, uploadId: __, ...parts } = now.state
        known.set(upload.id, { ...now, state: parts, from: upload.state })
        return (await bucket.get(key, io))?.stream
      }),

    complete: (upload, size, io) =>
      alone(upload, async () => {
        const now = await standing(upload, io)
        if (!now || now.state === 'gone') throw unknown()
        if (now.state.size !== size) throw busy()
        const key = await join(now, io)
        known.set(upload.id, { ...now, state: 'gone' })
        return key
      }),

    async abort(upload, io) {
      const now = await standing(upload, io).catch(unlessUnknown)
      known.set(upload.id, { state: 'gone', from: undefined, modifiedMs: Date.now() })
      if (!now) return void (await bucket.put(`u/${upload.id}/gone`, Buffer.from('.'), operation(io)))
      if (now.state === 'gone' || now.state.uploadId === undefined) return
      const { key, uploadId, last } = now.state
      await bucket.abortMultipart({ key, uploadId }, io)
      if (last?.tail !== undefined) await bucket.remove(last.tail, operation(io))
    },

    async uploads(owner, io) {
      const open = await bucket.multiparts('d/', io)
      const ids = open.map(({ key }) => key.slice(key.lastIndexOf('/') + 1).split('.')[0] ?? '')
      return ids
        .filter(id => isContentId(id) && (owner === undefined || contentStart(id) === startOf(owner)))
        .map(id => ({ id, owner: owner ?? '' }))
    },
  }
}

/** What ids of one owner's uploads have in common, so that they can be counted. */
const startOf = (owner: string) => createHash('sha256').update(owner).digest('hex').slice(0, 8)

const encode = ({ key, uploadId, count, chain, crc, size, last }: State) =>
  JSON.stringify([key, uploadId, count, chain, crc, size, last?.etag, last?.crc32, last?.tail])

function decode(text: string): State {
  // Sealed by us: see seal.ts. JSON has null for what is undefined.
  const [key, uploadId, count, chain, crc, size, etag, own, tail] = JSON.parse(text)
  const last = etag === null ? undefined : { etag, crc32: own, ...(tail !== null && { tail }) }
  return { key, uploadId: uploadId ?? undefined, count, chain, crc: crc ?? undefined, size, last }
}
