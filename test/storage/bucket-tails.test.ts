/** What is behind the last full part of uploads into a bucket: how it is gone on with, by whom, and what is left of it. */
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { RegistryError } from '../../oci/errors.ts'
import type { Bucket } from '../../storage/bucket.ts'
import type { ObjectStore, Upload } from '../../storage/object-store.ts'
import {
  append,
  contentAt,
  hanging,
  io,
  partBytes,
  sizeAt,
  storeOver,
  unknown,
} from '../helpers/bucket-uploads.ts'
import { memoryBucket } from '../helpers/buckets.ts'
import { digest, randomBytes } from '../helpers/images.ts'
import { body, nothing, pusher, readBlob, registryOver } from '../helpers/local-registry.ts'
import { until } from '../helpers/until.ts'

const chunkBytes = 512 * 1024
const objectsIn = async (bucket: Bucket, prefix: string) =>
  (await bucket.list(prefix, { ...io, limit: 1000 })).entries

const isEmpty = async (bucket: Bucket, prefix: string) =>
  until(`nothing is left under ${prefix}`, async () => (await objectsIn(bucket, prefix)).length === 0)

/** Sends bytes and never ends; what is returned breaks it off, and resolves when it is stored. */
async function begin(store: ObjectStore, upload: Upload, whole: Buffer, offset: number) {
  const stream = hanging(whole)
  let left = whole.length
  const witness = {
    update(chunk: Uint8Array) {
      left -= chunk.length
    },
  }
  const ended = store.append(upload, { open: () => stream }, { ...io, offset, replaces: true, witness })
  await until('all was read', () => left === 0)
  return async () => {
    stream.destroy(new Error('broken off'))
    await expect(ended).rejects.toThrow('broken off')
  }
}

describe('uploads into a bucket', () => {
  const bytes = randomBytes('tails', 4 * partBytes)
  const upTo = (end: number) => bytes.subarray(0, end)

  it('that another process has taken over are not spoilt by what is left of a broken request', async () => {
    const bucket = memoryBucket()
    const [one, two] = [storeOver(bucket), storeOver(bucket)]
    const at = partBytes + 1000
    const upload = await append(one, one.begin('me'), upTo(at), 0)
    const breakOff = await begin(one, upload, bytes.subarray(at, 2 * partBytes + 5000), at)
    const whole = await append(two, upload, bytes.subarray(at), at, { replaces: true, isLast: true })
    await breakOff()
    const key = await two.complete(whole, bytes.length, io)
    expect((await contentAt(two, key)).equals(bytes)).toBe(true)
  })

  it.for([1000, 100_000, 2 * partBytes + 5000])(
    'are complete with what came of a broken request: %i bytes',
    async length => {
      for (const isRead of [false, true]) {
        const bucket = memoryBucket()
        const [one, two] = [storeOver(bucket), storeOver(bucket)]
        const first = one.begin('me')
        await (await begin(one, first, upTo(length), 0))()
        const stands = (await one.uploaded(first, io))?.upload
        if (!stands) throw new Error('it holds something')
        expect(await sizeAt(two, stands)).toBe(length)
        if (isRead) await (await two.reread(stands, io))?.resume()
        const key = await two.complete(stands, length, io)
        expect((await contentAt(one, key)).equals(upTo(length))).toBe(true)
        await isEmpty(bucket, 'u/')
      }
    },
  )

  it('are unknown where somebody has replaced a full part', async () => {
    const bucket = memoryBucket()
    const one = storeOver(bucket)
    const upload = await append(one, one.begin('me'), upTo(2 * partBytes), 0)
    const [open] = await bucket.multiparts('d/', io)
    if (!open) throw new Error('nothing was begun')
    await bucket.putPart(open, 1, randomBytes('theirs', partBytes), io)
    await expect(sizeAt(storeOver(bucket), upload)).rejects.toMatchObject(unknown)
  })

  it.for([100_000, partBytes + 100_000])('of %i bytes can be finished again when it failed', async length => {
    const inner = memoryBucket()
    let failing: string | undefined
    const bucket: Bucket = {
      ...inner,
      put: (key, ...rest) =>
        failing !== undefined && key.includes(failing)
          ? Promise.reject(new RegistryError('STORAGE_UNAVAILABLE'))
          : inner.put(key, ...rest),
    }
    for (const step of ['.p.', '.r.']) {
      const registry = registryOver(storeOver(bucket))
      const whole = randomBytes(step, length)
      const begun = await registry.uploads.start(pusher, 'sha256', io)
      const { address } = await registry.uploads.append(pusher, begun.address, body(whole), io)
      const finish = () => registry.uploads.finish(pusher, address, digest(whole), nothing, io)
      failing = step
      await expect(finish()).rejects.toMatchObject({ fault: 'STORAGE_UNAVAILABLE' })
      failing = undefined
      const blob = { digest: digest(whole), size: length }
      expect(await finish()).toEqual(blob)
      expect((await readBlob(registry, blob.digest)).equals(whole)).toBe(true)
      expect(await finish()).toEqual(blob)
      await expect(registry.uploads.find(pusher, address, io)).rejects.toMatchObject(unknown)
      expect(await objectsIn(bucket, 'd/')).toHaveLength(step === '.p.' ? 1 : 2)
    }
  })

  it('leave nothing when another process removes them', async () => {
    const bucket = memoryBucket()
    const [one, two] = [storeOver(bucket), storeOver(bucket)]
    const upload = await append(one, one.begin('me'), upTo(partBytes + 1000), 0)
    const next = await append(one, upload, bytes.subarray(0, 1000), partBytes + 1000)
    expect(await objectsIn(bucket, 'u/')).toHaveLength(2)
    const registry = registryOver(two, { uploadLimits: () => ({ perOwner: 10, ttlMs: -1 }) })
    expect(await registry.uploads.purge(io)).toBe(1)
    expect(await objectsIn(bucket, '')).toEqual([])
    await expect(one.complete(next, partBytes + 2000, io)).rejects.toMatchObject(unknown)
  })

  it('that nobody goes on with are found when nobody can', async () => {
    const bucket = memoryBucket()
    const one = storeOver(bucket)
    await append(one, one.begin('me'), upTo(1000), 0)
    const { uploads } = registryOver(storeOver(bucket))
    expect(await uploads.purge(io)).toBe(0)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 49 * 3600_000 })
    try {
      expect(await uploads.purge(io)).toBe(1)
      expect(await objectsIn(bucket, 'u/')).toEqual([])
    } finally {
      vi.useRealTimers()
    }
  })

  it('that end in a link leave nothing', async () => {
    const bucket = memoryBucket()
    const registry = registryOver(storeOver(bucket))
    const config = upTo(1500)
    const begun = await registry.uploads.start(pusher, 'sha256', io)
    const grown = await registry.uploads.append(pusher, begun.address, body(config), io)
    await registry.uploads.finish(pusher, grown.address, digest(config), nothing, io)
    expect(await objectsIn(bucket, 'd/')).toEqual([])
    await isEmpty(bucket, 'u/')
  })

  it('in chunks leave of those only the first, and any process takes the latest two', async () => {
    const bucket = memoryBucket()
    const stores = [storeOver(bucket), storeOver(bucket), storeOver(bucket)]
    const length = 8 * chunkBytes
    const [first, ...others] = stores
    if (!first) throw new Error('there are stores')
    let latest = first.begin('me')
    for (let at = 0; at < length; at += chunkBytes) {
      const chunk = bytes.subarray(at, at + chunkBytes)
      const asked = latest
      latest = await append(stores[(at / chunkBytes) % 3] ?? first, asked, chunk, at)
      await wait(1)
      // The answer was lost, and somebody else is asked again.
      if (at === 5 * chunkBytes)
        latest = await append(others[0] ?? first, asked, chunk, at, { replaces: true })
    }
    const key = await first.complete(latest, length, io)
    expect((await contentAt(first, key)).equals(upTo(length))).toBe(true)
    const sizes = (await objectsIn(bucket, 'd/')).map(({ size }) => size)
    expect(sizes.sort((a, b) => a - b)).toEqual([chunkBytes, length])
  })
})
