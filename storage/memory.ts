import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { RegistryError } from '../oci/errors.ts'
import { newContentId } from './content-id.ts'
import { contentKey } from './layout.ts'
import type { MutationOptions, ObjectStore, StoredRecord, Upload } from './object-store.ts'

interface Growing {
  readonly upload: Upload
  bytes: Buffer
  modifiedMs: number
  busy: boolean
}

/** The reference adapter: what the port's laws mean, in the fewest words. Everything is gone with the process. */
export function memoryStore(): ObjectStore {
  const records = new Map<string, StoredRecord>()
  const content = new Map<string, Buffer>()
  const growing = new Map<string, Growing>()
  let writes = 0

  function refuseUsed({ id }: Upload): void {
    if (content.has(contentKey(id))) throw new RegistryError('UPLOAD_UNKNOWN')
  }

  const growingOf = (upload: Upload) => {
    const found = growing.get(upload.id)
    if (!found) throw new RegistryError('UPLOAD_UNKNOWN')
    return found
  }

  function holds(key: string, { signal, deadlineMs, condition }: MutationOptions): boolean {
    signal.throwIfAborted()
    if (Date.now() > deadlineMs)
      throw new RegistryError('STORAGE_UNAVAILABLE', { message: 'the operation took too long' })
    if (!condition) return true
    const etag = records.get(key)?.etag
    return 'ifAbsent' in condition ? etag === undefined : etag === condition.ifMatch
  }

  return {
    run: '',

    async read(key) {
      return records.get(key)
    },

    isCurrent(key, version) {
      return records.get(key)?.version === version
    },

    async write(key, bytes, options) {
      if (!holds(key, options)) return undefined
      const etag = createHash('sha256').update(bytes).digest('base64url')
      const record = { bytes: Buffer.from(bytes), etag, modifiedMs: Date.now(), version: String(++writes) }
      records.set(key, record)
      return record
    },

    async remove(key, options) {
      if (!records.has(key)) return true
      return holds(key, options) && records.delete(key)
    },

    async list(prefix, { after = '', limit }) {
      const keys = [...records.keys(), ...content.keys()]
        .filter(key => key.startsWith(prefix) && key > after)
        .sort()
      return { keys: keys.slice(0, limit), more: keys.length > limit }
    },

    begin: owner => ({ id: newContentId(), owner }),

    async uploaded(upload) {
      const found = growing.get(upload.id)
      if (!found) refuseUsed(upload)
      return found && { size: found.bytes.length, modifiedMs: found.modifiedMs }
    },

    async append(upload, source, { offset, witness, signal, admit }) {
      refuseUsed(upload)
      if (offset === 0) await admit?.()
      const target =
        offset === 0 && !growing.has(upload.id)
          ? { upload, bytes: Buffer.alloc(0), modifiedMs: Date.now(), busy: false }
          : growingOf(upload)
      growing.set(upload.id, target)
      if (target.busy) throw new RegistryError('UPLOAD_BUSY')
      if (target.bytes.length !== offset) throw new RegistryError('UPLOAD_OUT_OF_ORDER')
      target.busy = true
      const stream = source.open()
      const stop = () => stream.destroy(signal.reason)
      signal.addEventListener('abort', stop, { once: true })
      try {
        for await (const chunk of stream) {
          witness.update(chunk)
          target.bytes = Buffer.concat([target.bytes, chunk])
          target.modifiedMs = Date.now()
        }
        return { upload, size: target.bytes.length }
      } finally {
        signal.removeEventListener('abort', stop)
        target.busy = false
      }
    },

    async reread(upload) {
      const found = growing.get(upload.id)
      return found && Readable.from([found.bytes])
    },

    async complete(upload, size) {
      const { bytes, busy } = growingOf(upload)
      if (busy || bytes.length !== size) throw new RegistryError('UPLOAD_BUSY')
      content.set(contentKey(upload.id), bytes)
      growing.delete(upload.id)
      return contentKey(upload.id)
    },

    async abort(upload) {
      growing.delete(upload.id)
      const key = contentKey(upload.id)
      if (!content.has(key)) content.set(key, Buffer.alloc(0))
    },

    async uploads(owner) {
      const all = [...growing.values()].map(({ upload }) => upload)
      return owner === undefined ? all : all.filter(upload => upload.owner === owner)
    },

    async open(key, { range }) {
      const bytes = content.get(key)
      if (!bytes) return undefined
      return {
        kind: 'bytes',
        size: bytes.length,
        bytes: range ? bytes.subarray(range.start, range.end) : bytes,
      }
    },

    async reserve() {},
    async check() {},
    async close() {},
  }
}
