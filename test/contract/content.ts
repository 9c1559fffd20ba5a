import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { beforeEach, describe, expect, it } from 'vitest'
import { readStart } from '../../storage/durable.ts'
import type { ObjectStore, OpenContent, Upload, Witness } from '../../storage/object-store.ts'
import type { Opened } from '../helpers/folder.ts'
import { randomBytes } from '../helpers/images.ts'
import { fault, io } from '../helpers/waiting.ts'
import type { Laws } from './records.ts'

const bytes = randomBytes('content', 700_000)
const ignored: Witness = { update() {} }

async function bytesOf(content: OpenContent | undefined): Promise<Buffer | undefined> {
  if (content?.kind === 'file') {
    const whole = await readStart(content.fd, content.size)
    content.close()
    return whole
  }
  return content?.kind === 'stream' ? buffer(content.stream) : content?.bytes
}

function* pieces(whole: Buffer, size: number) {
  for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size)
}

/** Each request goes on with what the one before it has returned, as those of a client do. */
function chaining(store: ObjectStore): ObjectStore {
  const latest = new Map<string, Upload>()
  const now = (upload: Upload) => latest.get(upload.id) ?? upload
  return {
    ...store,
    async append(upload, ...rest) {
      const appended = await store.append(now(upload), ...rest)
      latest.set(upload.id, appended.upload)
      return appended
    },
    uploaded: (upload, io) => store.uploaded(now(upload), io),
    reread: (upload, io) => store.reread(now(upload), io),
    complete: (upload, size, io) => store.complete(now(upload), size, io),
    abort: (upload, io) => store.abort(now(upload), io),
  }
}

/** Content: large, write-once, and invisible until it is complete. */
export function describeContent(
  name: string,
  open: () => Promise<Opened>,
  { together }: Laws = { together: true },
): void {
  describe(`${name} keeps content`, () => {
    const whenTogether = (title: string, behaviour: () => Promise<void>) => {
      if (together) it(title, behaviour)
    }
    let opened: Opened
    let store: ObjectStore
    beforeEach(async () => {
      opened = await open()
      store = chaining(opened.store)
    })
    const sizeOf = async (upload: Upload) => (await store.uploaded(upload, io))?.size
    const append = (upload: Upload, part: Buffer, offset: number, witness = ignored) =>
      store.append(upload, { open: () => Readable.from(pieces(part, 60_000)) }, { ...io, offset, witness })

    const sizeAfter = async (...args: Parameters<typeof append>) => (await append(...args)).size

    it('makes an upload of two parts content, and the witness sees every byte once and in order', async () => {
      const seen: Uint8Array[] = []
      const witness = { update: (chunk: Uint8Array) => void seen.push(Buffer.from(chunk)) }
      const upload = store.begin('me')
      expect(await sizeOf(upload)).toBeUndefined()
      expect(await sizeAfter(upload, bytes.subarray(0, 300_001), 0, witness)).toBe(300_001)
      expect(await sizeAfter(upload, bytes.subarray(300_001), 300_001, witness)).toBe(bytes.length)
      expect(Buffer.concat(seen).equals(bytes)).toBe(true)
      const listed = (await store.list('', { ...io, limit: 100 })).keys.filter(key => key !== 'format.json')
      if (together) expect(listed).toEqual([])
      const again = await store.reread(upload, io)
      expect(again && (await buffer(again)).equals(bytes)).toBe(true)

      const key = await store.complete(upload, bytes.length, io)
      expect(key).toContain(`/${upload.id}`)
      const { keys } = await store.list('d/', { ...io, limit: 100 })
      if (together) expect(keys).toEqual([key])
      else expect(keys).toContain(key)
      expect((await bytesOf(await (await opened.beside()).open(key, io)))?.equals(bytes)).toBe(true)
      if (store.remote) {
        expect(await store.complete(upload, bytes.length, io)).toBe(key)
        expect(await sizeOf(upload)).toBe(bytes.length)
        for (const offset of [0, bytes.length])
          await expect(append(upload, bytes, offset)).rejects.toMatchObject(fault('UPLOAD_UNKNOWN'))
        await store.abort(upload, io)
      }
      await expect(store.uploaded(upload, io)).rejects.toMatchObject(fault('UPLOAD_UNKNOWN'))
      expect(await store.reread(upload, io)).toBeUndefined()
      await expect(store.complete(upload, bytes.length, io)).rejects.toMatchObject(fault('UPLOAD_UNKNOWN'))
      await expect(append(upload, bytes, bytes.length)).rejects.toMatchObject(fault('UPLOAD_UNKNOWN'))
      await expect(append(upload, bytes, 0)).rejects.toMatchObject(fault('UPLOAD_UNKNOWN'))
      await store.abort(upload, io)
      expect((await bytesOf(await store.open(key, io)))?.equals(bytes)).toBe(true)
    })

    it('opens what is small, twice, and a range of it', async () => {
      const small = bytes.subarray(0, 1000)
      const upload = store.begin('me')
      await append(upload, small, 0)
      const key = await store.complete(upload, small.length, io)
      for (let time = 0; time < 2; time++) {
        expect((await bytesOf(await store.open(key, io)))?.equals(small)).toBe(true)
        const part = await store.open(key, { ...io, range: { start: 10, end: 20 } })
        expect(part?.size).toBe(1000)
        if (part?.kind === 'file') part.close()
        else expect((await bytesOf(part))?.equals(small.subarray(10, 20))).toBe(true)
      }
      expect(await store.open(`${key.slice(0, -4)}0000`, io)).toBeUndefined()
    })

    it('keeps an empty upload', async () => {
      const upload = store.begin('me')
      await append(upload, Buffer.alloc(0), 0)
      const key = await store.complete(upload, 0, io)
      expect((await bytesOf(await store.open(key, io)))?.length).toBe(0)
    })

    it('refuses bytes that do not begin where the upload ends', async () => {
      const upload = store.begin('me')
      await append(upload, bytes.subarray(0, 10), 0)
      for (const offset of [0, 9, 11])
        await expect(append(upload, bytes, offset)).rejects.toMatchObject(fault('UPLOAD_OUT_OF_ORDER'))
      expect(await sizeOf(upload)).toBe(10)
    })

    whenTogether('lets one write at a time, and nobody complete what is being written', async () => {
      const upload = store.begin('me')
      const source = new PassThrough()
      const first = store.append(upload, { open: () => source }, { ...io, offset: 0, witness: ignored })
      source.write(bytes)
      await expect.poll(() => sizeOf(upload)).toBeGreaterThan(0)
      const other = await opened.beside()
      const offset = (await sizeOf(upload)) ?? 0
      for (const each of [store, other]) {
        const second = each.append(
          upload,
          { open: () => Readable.from([bytes]) },
          { ...io, offset, witness: ignored },
        )
        await expect(second).rejects.toMatchObject(fault('UPLOAD_BUSY'))
        await expect(each.complete(upload, offset, io)).rejects.toMatchObject(fault('UPLOAD_BUSY'))
      }
      source.end()
      expect((await first).size).toBe(bytes.length)
      expect(await other.complete(upload, bytes.length, io)).toContain(upload.id)
    })

    it('keeps what came before the source failed, and goes on from there', async () => {
      const upload = store.begin('me')
      async function* failing() {
        yield bytes.subarray(0, 100_000)
        yield bytes.subarray(100_000, 400_000)
        throw new Error('cut off')
      }
      const cut = store.append(
        upload,
        { open: () => Readable.from(failing()) },
        { ...io, offset: 0, witness: ignored },
      )
      await expect(cut).rejects.toThrow('cut off')
      expect(await sizeOf(upload)).toBe(400_000)
      expect(await sizeAfter(upload, bytes.subarray(400_000), 400_000)).toBe(bytes.length)
      const key = await store.complete(upload, bytes.length, io)
      expect((await bytesOf(await store.open(key, io)))?.equals(bytes)).toBe(true)
    })

    whenTogether('stops when the signal aborts, and the upload is free again', async () => {
      const upload = store.begin('me')
      const source = new PassThrough()
      const stopping = new AbortController()
      const options = { signal: stopping.signal, offset: 0, witness: ignored }
      const first = store.append(upload, { open: () => source }, options)
      source.write(bytes)
      await expect.poll(() => sizeOf(upload)).toBeGreaterThan(0)
      stopping.abort(new Error('stopping'))
      await expect(first).rejects.toThrow('stopping')
      expect(source.destroyed).toBe(true)
      const size = (await sizeOf(upload)) ?? 0
      expect(await sizeAfter(upload, bytes.subarray(size), size)).toBe(bytes.length)
    })

    it('completes nothing that has another size', async () => {
      const upload = store.begin('me')
      await append(upload, bytes, 0)
      await expect(store.complete(upload, bytes.length - 1, io)).rejects.toMatchObject(fault('UPLOAD_BUSY'))
      expect(await sizeOf(upload)).toBe(bytes.length)
      expect(await store.complete(upload, bytes.length, io)).toContain(upload.id)
    })

    it('forgets an upload, also twice', async () => {
      const upload = store.begin('me')
      await append(upload, bytes, 0)
      await store.abort(upload, io)
      await store.abort(upload, io)
      await expect(store.uploaded(upload, io)).rejects.toMatchObject(fault('UPLOAD_UNKNOWN'))
      await expect(append(upload, bytes, 0)).rejects.toMatchObject(fault('UPLOAD_UNKNOWN'))
      await expect(append(upload, bytes, 10)).rejects.toMatchObject(fault('UPLOAD_UNKNOWN'))
      expect(await store.uploads(undefined, io)).toEqual([])
      await expect(store.complete(upload, 0, io)).rejects.toMatchObject(fault('UPLOAD_UNKNOWN'))
    })

    whenTogether('counts uploads of an owner and of all', async () => {
      const other = await opened.beside()
      const mine = [store.begin('me'), other.begin('me')]
      const theirs = store.begin('you')
      expect(await store.uploads(undefined, io)).toEqual([])
      for (const upload of [...mine, theirs]) await append(upload, bytes.subarray(0, 10), 0)
      const idsOf = async (owner?: string) => (await store.uploads(owner, io)).map(({ id }) => id).sort()
      expect(await idsOf('me')).toEqual(mine.map(({ id }) => id).sort())
      expect(await idsOf('you')).toEqual([theirs.id])
      expect(await idsOf('nobody')).toEqual([])
      expect(await idsOf()).toEqual([...mine, theirs].map(({ id }) => id).sort())
      for (const upload of mine) {
        const found = await store.uploaded(upload, io)
        expect(Math.abs((found?.modifiedMs ?? 0) - Date.now())).toBeLessThan(10_000)
      }
    })
  })
}
