import { Readable } from 'node:stream'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { ObjectStore } from '../../storage/object-store.ts'
import type { Registry } from '../../storage/registry.ts'
import { digest, randomBytes } from '../helpers/images.ts'
import {
  app,
  body,
  nothing,
  pushBlob,
  pusher,
  readBlob,
  registryOver,
  repo,
} from '../helpers/local-registry.ts'
import { pause } from '../helpers/until.ts'
import { fault, io } from '../helpers/waiting.ts'
import { type AgingStore, contents } from './blobs.ts'

const bytes = randomBytes('upload', 600_000)
const half = 300_000

export function describeUploads(name: string, open: () => Promise<AgingStore>): void {
  describe(`${name} receives uploads`, () => {
    let store: ObjectStore
    let registry: Registry
    beforeEach(async () => {
      ;({ store } = await open())
      registry = registryOver(store)
    })
    const begun = async (part = bytes.subarray(0, half), algorithm: 'sha256' | 'sha512' = 'sha256') => {
      const { address } = await registry.uploads.start(pusher, algorithm, io)
      return registry.uploads.append(pusher, address, body(part, 0), io)
    }
    const unknown = fault('UPLOAD_UNKNOWN')
    /** A bucket knows of an upload once it fills a part. */
    const countable = () => (store.remote ? randomBytes('part', 6 * 1024 * 1024) : bytes.subarray(0, half))

    it('in parts, and verifies them by the hash that it kept', async () => {
      const reread = vi.spyOn(store, 'reread')
      const { address, size } = await begun()
      expect(size).toBe(half)
      expect(await registry.uploads.find(pusher, address, io)).toMatchObject({ size: half })
      const rest = body(bytes.subarray(half), half)
      const blob = await registry.uploads.finish(pusher, address, digest(bytes), rest, io)
      expect(blob).toEqual({ digest: digest(bytes), size: bytes.length })
      expect((await readBlob(registry, blob.digest)).equals(bytes)).toBe(true)
      expect(reread).not.toHaveBeenCalled()
    })

    it('in another process, and verifies them by the digest in the address', async () => {
      const { address } = await begun(bytes)
      const reread = vi.spyOn(store, 'reread')
      await registryOver(store).uploads.finish(pusher, address, digest(bytes), nothing, io)
      expect(reread).not.toHaveBeenCalled()
    })

    it('in another process, and reads them again where no hash is known', async () => {
      const { address } = await begun()
      const reread = vi.spyOn(store, 'reread')
      const rest = body(bytes.subarray(half))
      await registryOver(store).uploads.finish(pusher, address, digest(bytes), rest, io)
      expect(reread).toHaveBeenCalledOnce()
    })

    it('by another algorithm than was expected', async () => {
      const { address } = await begun(bytes)
      const wanted = digest(bytes, 'sha512')
      await registry.uploads.finish(pusher, address, wanted, nothing, io)
      expect((await readBlob(registry, wanted)).equals(bytes)).toBe(true)
      const first = await begun(bytes, 'sha512')
      await registryOver(store).uploads.finish(pusher, first.address, wanted, nothing, io)
    })

    it('that are small, in parts or empty', async () => {
      for (const part of [bytes.subarray(0, 10), bytes.subarray(0, 16_384), bytes.subarray(0, 16_385)]) {
        const { address } = await begun(part)
        await registry.uploads.finish(pusher, address, digest(part), nothing, io)
        expect((await readBlob(registry, digest(part))).equals(part)).toBe(true)
      }
      const { address } = await registry.uploads.start(pusher, 'sha256', io)
      await registry.uploads.finish(pusher, address, digest(Buffer.alloc(0)), nothing, io)
      expect(await store.uploads(undefined, io)).toEqual([])
    })

    it('that only their own pusher and repository can address', async () => {
      const { address } = await begun()
      const strangers = [
        { ...pusher, owner: 'you' },
        { ...pusher, name: repo('team/other') },
      ]
      for (const stranger of strangers) {
        await expect(registry.uploads.find(stranger, address, io)).rejects.toMatchObject(unknown)
        await expect(registry.uploads.cancel(stranger, address, io)).rejects.toMatchObject(unknown)
        const appending = registry.uploads.append(stranger, address, body(bytes), io)
        await expect(appending).rejects.toMatchObject(unknown)
        const finishing = registry.uploads.finish(stranger, address, digest(bytes), nothing, io)
        await expect(finishing).rejects.toMatchObject(unknown)
      }
      for (const wrong of ['', 'x', `${address.slice(0, -2)}AA`, address.slice(4), 'A'.repeat(200)])
        await expect(registry.uploads.find(pusher, wrong, io)).rejects.toMatchObject(unknown)
    })

    it('whose parts come in order', async () => {
      const { address } = await begun()
      for (const offset of [0, half - 1, half + 1]) {
        const appending = registry.uploads.append(pusher, address, body(bytes, offset), io)
        await expect(appending).rejects.toMatchObject(fault('UPLOAD_OUT_OF_ORDER'))
      }
      expect(await registry.uploads.find(pusher, address, io)).toMatchObject({ size: half })
    })

    it('that were cut off, and goes on from what came', async () => {
      const { address } = await registry.uploads.start(pusher, 'sha256', io)
      async function* failing() {
        yield bytes.subarray(0, half)
        throw new Error('cut off')
      }
      const cut = { open: () => Readable.from(failing()), length: bytes.length }
      await expect(registry.uploads.append(pusher, address, cut, io)).rejects.toThrow('cut off')
      const found = await registry.uploads.find(pusher, address, io)
      expect(found.size).toBe(half)
      const rest = body(bytes.subarray(half), half)
      await registry.uploads.finish(pusher, found.address, digest(bytes), rest, io)
      expect((await readBlob(registry, digest(bytes))).equals(bytes)).toBe(true)
    })

    it('and acknowledges again what it has acknowledged', async () => {
      for (const part of [bytes, bytes.subarray(0, 10)]) {
        const { address } = await begun(part)
        for (let time = 0; time < 2; time++) {
          const blob = await registry.uploads.finish(pusher, address, digest(part), nothing, io)
          expect(blob).toEqual({ digest: digest(part), size: part.length })
        }
        const other = registry.uploads.finish(pusher, address, digest(Buffer.from('no')), nothing, io)
        await expect(other).rejects.toMatchObject(unknown)
      }
    })

    it('and ends one whose digest is wrong', async () => {
      for (const part of [bytes, bytes.subarray(0, 10)]) {
        const { address } = await begun(part)
        const wrong = digest(Buffer.from('wrong'))
        const finishing = registry.uploads.finish(pusher, address, wrong, nothing, io)
        await expect(finishing).rejects.toMatchObject(fault('DIGEST_INVALID'))
        await expect(registry.uploads.find(pusher, address, io)).rejects.toMatchObject(unknown)
        const receiving = registry.uploads.receive(pusher, wrong, body(part), io)
        await expect(receiving).rejects.toMatchObject(fault('DIGEST_INVALID'))
      }
      expect(await store.uploads(undefined, io)).toEqual([])
      if (!store.remote) expect(await contents(store)).toEqual([])
    })

    it('and takes no address of one that is over for another', async () => {
      const [a, b] = [randomBytes('first', half), randomBytes('second', half)]
      const { address: fresh } = await registry.uploads.start(pusher, 'sha256', io)
      const first = await registry.uploads.append(pusher, fresh, body(a), io)
      await registry.uploads.cancel(pusher, first.address, io)
      for (const address of [fresh, first.address]) {
        await expect(registry.uploads.find(pusher, address, io)).rejects.toMatchObject(unknown)
        await expect(registry.uploads.append(pusher, address, body(b), io)).rejects.toMatchObject(unknown)
        const finishing = registry.uploads.finish(pusher, address, digest(b), body(b), io)
        await expect(finishing).rejects.toMatchObject(unknown)
      }
      const { address: second } = await registry.uploads.start(pusher, 'sha256', io)
      await registry.uploads.finish(pusher, second, digest(a), body(a), io)
      const again = registry.uploads.finish(pusher, second, digest(b), body(b), io)
      await expect(again).rejects.toMatchObject(unknown)
      expect((await readBlob(registry, digest(a))).equals(a)).toBe(true)
    })

    it('and takes a whole body that is sent again after the first was cut off', async () => {
      const { address } = await registry.uploads.start(pusher, 'sha256', io)
      await registry.uploads.append(pusher, address, body(bytes.subarray(0, half)), io)
      const blob = await registry.uploads.finish(pusher, address, digest(bytes), body(bytes), io)
      expect((await readBlob(registry, blob.digest)).equals(bytes)).toBe(true)
    })

    it('and acknowledges nothing of a part that was longer than it said', async () => {
      const { address } = await begun()
      const long = { ...body(bytes.subarray(half), half), length: 10 }
      await expect(registry.uploads.append(pusher, address, long, io)).rejects.toMatchObject(
        fault('SIZE_INVALID'),
      )
      const rest = body(bytes.subarray(half), half)
      const grown = registry.uploads.append(pusher, address, rest, io)
      if (store.remote) expect(await grown).toMatchObject({ size: bytes.length })
      else await expect(grown).rejects.toMatchObject(fault('UPLOAD_OUT_OF_ORDER'))
    })

    it('and believes of no upload what was true of another with the same id', async () => {
      const [good, evil] = [randomBytes('good', half), randomBytes('evil', half)]
      const refused = async (address: string, sent = nothing) => {
        const finishing = registry.uploads.finish(pusher, address, digest(good), sent, io)
        await expect(finishing).rejects.toMatchObject(fault('DIGEST_INVALID'))
      }
      const { address } = await registry.uploads.start(pusher, 'sha256', io)
      const told = await registry.uploads.append(pusher, address, body(evil), io)
      // A bucket makes another of it, a folder refuses.
      await registry.uploads.append(pusher, address, body(good, 0), io).catch(() => {})
      await refused(told.address)

      // What was told of an upload is true of it until its end, whatever is sent to where it was before.
      async function* cutOff() {
        yield evil
        throw new Error('cut off')
      }
      const fresh = await registry.uploads.start(pusher, 'sha256', io)
      const first = await registry.uploads.append(pusher, fresh.address, body(good), io)
      const cut = { open: () => Readable.from(cutOff()), length: half + 1 }
      const cutting = registry.uploads.finish(pusher, fresh.address, digest(evil), cut, io)
      await expect(cutting).rejects.toThrow('cut off')
      await registry.uploads.finish(pusher, first.address, digest(good), nothing, io)
      const victim = repo('victim/app')
      expect((await readBlob(registry, await pushBlob(registry, good, victim), victim)).equals(good)).toBe(
        true,
      )
    })

    it('and refuses a body of another length than it said', async () => {
      for (const part of [bytes, bytes.subarray(0, 10)]) {
        const short = { ...body(part), length: part.length + 1 }
        const receiving = registry.uploads.receive(pusher, digest(part), short, io)
        await expect(receiving).rejects.toMatchObject(fault('SIZE_INVALID'))
      }
      expect(await store.uploads(undefined, io)).toEqual([])
    })

    it('and publishes nothing that grew after it was verified', async () => {
      const part = bytes.subarray(0, 10)
      const { address } = await begun(part)
      const reread = store.reread
      vi.spyOn(store, 'reread').mockImplementationOnce(async (upload, options) => {
        const more = { ...io, offset: part.length, witness: { update() {} } }
        await store.append(upload, { open: () => Readable.from([part]) }, more)
        return reread(upload, options)
      })
      const finishing = registry.uploads.finish(pusher, address, digest(part), nothing, io)
      await expect(finishing).rejects.toMatchObject(fault('UPLOAD_BUSY'))
      const stat = registry.blobs.stat(app, digest(part), io)
      await expect(stat).rejects.toMatchObject(fault('BLOB_UNKNOWN'))
    })

    it('until an owner has as many as allowed; cancelled ones do not count', async () => {
      const limited = registryOver(store, { uploadLimits: () => ({ perOwner: 2, ttlMs: 1000 }) })
      const begin = async (by = pusher) => {
        const { address } = await limited.uploads.start(by, 'sha256', io)
        return limited.uploads.append(by, address, body(countable()), io)
      }
      const { address } = await begin()
      await begin()
      await expect(begin()).rejects.toMatchObject(fault('TOO_MANY_REQUESTS'))
      await begin({ ...pusher, owner: 'you' })
      await limited.uploads.cancel(pusher, address, io)
      await expect(limited.uploads.cancel(pusher, address, io)).rejects.toMatchObject(unknown)
      await begin()
    })

    it('and purges those that lie idle for too long', async () => {
      let ttlMs = 3600_000
      const limited = registryOver(store, { uploadLimits: () => ({ perOwner: 10, ttlMs }) })
      const { address } = await limited.uploads.start(pusher, 'sha256', io)
      const old = await limited.uploads.append(pusher, address, body(countable()), io)
      expect(await limited.uploads.purge(io)).toBe(0)
      ttlMs = 1
      await pause(20)
      expect(await limited.uploads.purge(io)).toBe(1)
      await expect(limited.uploads.find(pusher, old.address, io)).rejects.toMatchObject(unknown)
    })
  })
}
