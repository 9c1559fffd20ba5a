/** Uploads into a bucket in memory, which fails and waits as it is told. */
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { RegistryError } from '../../oci/errors.ts'
import type { Bucket } from '../../storage/bucket.ts'
import type { AppendOptions, ObjectStore, Upload } from '../../storage/object-store.ts'
import { partBuffers } from '../../storage/part-buffers.ts'
import {
  append,
  contentAt,
  hanging,
  io,
  pieces,
  sizeAt,
  storeOver,
  unknown,
  watchedBuffers,
} from '../helpers/bucket-uploads.ts'
import { counted, memoryBucket } from '../helpers/buckets.ts'
import { randomBytes } from '../helpers/images.ts'

describe('uploads into a bucket', () => {
  const small = 1000
  const whole = randomBytes('parts', 3500)
  const opened = (bucket: Bucket, most = 2) => {
    const { held, watched } = watchedBuffers(partBuffers({ bytes: small, most }))
    return { held, store: storeOver(bucket, watched) }
  }
  const appending = (
    store: ObjectStore,
    upload: Upload,
    stream: Readable,
    options: Partial<AppendOptions> = {},
  ) =>
    store.append(upload, { open: () => stream }, { ...io, offset: 0, witness: { update() {} }, ...options })

  it('give the buffer of a client back that goes away, also while it waits for one', async () => {
    const { held, store } = opened(memoryBucket(), 1)
    const stream = hanging(whole.subarray(0, 100))
    const first = appending(store, store.begin('me'), stream)
    await expect.poll(held).toEqual({ now: 1, most: 1 })
    const leaving = new AbortController()
    const waiting = appending(store, store.begin('me'), new PassThrough(), { signal: leaving.signal })
    const patient = append(store, store.begin('me'), whole, 0)
    // Both are in the queue now.
    await setImmediate()
    leaving.abort(new Error('left'))
    await expect(waiting).rejects.toThrow('left')
    stream.destroy(new Error('went away'))
    await expect(first).rejects.toThrow('went away')
    expect(await sizeAt(store, await patient)).toBe(whole.length)
    expect(held()).toEqual({ now: 0, most: 1 })
  })

  it.for([1, 2, 4])('keep only what was stored where a part fails, with %i buffers', async most => {
    const bucket = memoryBucket()
    let isBroken = true
    const failing: Bucket = {
      ...bucket,
      putPart: (upload, number, ...rest) =>
        isBroken && number === 2
          ? Promise.reject(new RegistryError('STORAGE_UNAVAILABLE'))
          : bucket.putPart(upload, number, ...rest),
    }
    const { held, store } = opened(failing, most)
    const upload = store.begin('me')
    const stream = Readable.from(pieces(whole))
    await expect(appending(store, upload, stream)).rejects.toMatchObject({ fault: 'STORAGE_UNAVAILABLE' })
    expect(held().now).toBe(0)
    expect(await sizeAt(store, upload)).toBe(small)
    isBroken = false
    const grown = await append(store, upload, whole.subarray(small), small)
    const key = await store.complete(grown, whole.length, io)
    expect((await contentAt(store, key)).equals(whole)).toBe(true)
  })

  it('wait for nobody who is slow, small ones never, larger ones not for ever', async () => {
    const most = 5
    const { watched, held } = watchedBuffers(partBuffers({ bytes: 64_000, most, patienceMs: 50 }))
    const store = storeOver(memoryBucket(), watched)
    const slow = (owner: string, length: number) => {
      const stream = hanging(randomBytes('slow', length))
      onTestFinished(() => void stream.destroy(new Error('the test is over')))
      return appending(store, store.begin(owner), stream).catch(error => error)
    }
    const theirs = Array.from({ length: 20 }, () => slow('slow', 10_000))
    await expect.poll(held).toEqual({ now: 3, most: 3 })
    expect(await Promise.race(theirs)).toMatchObject({ fault: 'STORAGE_UNAVAILABLE', status: 503 })
    for (const owner of ['me', 'slow'])
      expect(await sizeAt(store, await append(store, store.begin(owner), whole.subarray(0, 200), 0))).toBe(
        200,
      )
    const large = randomBytes('large', 300_000)
    const mine = await append(store, store.begin('me'), large, 0)
    expect((await contentAt(store, await store.complete(mine, large.length, io))).equals(large)).toBe(true)
    void slow('you', 10_000)
    void slow('others', 10_000)
    await expect.poll(held).toMatchObject({ now: most })
    const late = append(store, store.begin('me'), large, 0)
    await expect(late).rejects.toMatchObject({ headers: { 'Retry-After': '5' } })
    expect(await sizeAt(store, await append(store, store.begin('me'), whole.subarray(0, 200), 0))).toBe(200)
  })

  it('go on behind a tail in the memory that is for parts', async () => {
    const { bucket, asked } = counted(memoryBucket())
    const { store } = opened(bucket)
    const upload = await append(store, store.begin('me'), whole, 0)
    asked()
    const { store: beside, held } = opened(bucket)
    const grown = await append(beside, upload, whole.subarray(0, 1), whole.length)
    expect(held()).toEqual({ now: 0, most: 1 })
    expect(asked().read).toBeUndefined()
    const key = await store.complete(grown, whole.length + 1, io)
    expect((await contentAt(store, key)).equals(Buffer.concat([whole, whole.subarray(0, 1)]))).toBe(true)
  })

  it('leave the sender there to be told that it may not begin another', async () => {
    const { store } = opened(memoryBucket())
    const upload = store.begin('me')
    const stream = hanging(whole)
    const admit = () => Promise.reject(new RegistryError('TOO_MANY_REQUESTS'))
    await expect(appending(store, upload, stream, { admit })).rejects.toMatchObject({
      fault: 'TOO_MANY_REQUESTS',
    })
    expect(stream.destroyed).toBe(false)
    expect(await sizeAt(store, upload)).toBeUndefined()
  })

  it('take no part behind a gap for one of the row', async () => {
    const bucket = memoryBucket()
    const { store } = opened(bucket)
    const upload = await append(store, store.begin('me'), whole.subarray(0, 1500), 0)
    const [open] = await bucket.multiparts('d/', io)
    if (!open) throw new Error('nothing was begun')
    await bucket.putPart(open, 3, whole.subarray(2000, 3000), io)
    const { store: beside } = opened(bucket)
    expect(await sizeAt(beside, upload)).toBe(1500)
    expect(await sizeAt(beside, { id: upload.id, owner: '' })).toBe(1000)
    const grown = await append(beside, upload, whole.subarray(1500), 1500)
    const key = await beside.complete(grown, whole.length, io)
    expect((await contentAt(beside, key)).equals(whole)).toBe(true)
  })

  it('do not end as an upload that was cancelled meanwhile', async () => {
    const bucket = memoryBucket()
    const { store } = opened(bucket)
    const upload = store.begin('me')
    const stream = hanging(whole.subarray(0, 10))
    const running = appending(store, upload, stream)
    await store.abort(upload, io)
    stream.end()
    await expect(running).rejects.toMatchObject(unknown)
    await expect(store.uploaded(upload, io)).rejects.toMatchObject(unknown)
  })

  it('do not grow any more once they were joined to be read', async () => {
    const { bucket, asked } = counted(memoryBucket())
    const { store } = opened(bucket)
    const upload = await append(store, store.begin('me'), whole, 0)
    const again = await store.reread(upload, io)
    expect(again && (await buffer(again)).equals(whole)).toBe(true)
    asked()
    await expect(append(store, upload, whole, whole.length)).rejects.toMatchObject(unknown)
    expect(asked()).toEqual({})
    const key = await store.complete(upload, whole.length, io)
    expect((await contentAt(store, key)).equals(whole)).toBe(true)
  })

  it('that fit a part are gone after a day', async () => {
    const bucket = memoryBucket()
    const { store } = opened(bucket)
    const upload = await append(store, store.begin('me'), whole.subarray(0, 100), 0)
    const { store: beside } = opened(bucket)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 23 * 3600_000 })
    try {
      expect(await sizeAt(beside, upload)).toBe(100)
      vi.setSystemTime(Date.now() + 2 * 3600_000)
      for (const each of [store, beside])
        await expect(each.complete(upload, 100, io)).rejects.toMatchObject(unknown)
    } finally {
      vi.useRealTimers()
    }
  })

  it('are not gone on with where parts have another size', async () => {
    const bucket = memoryBucket()
    const before = storeOver(bucket)
    const upload = await append(before, before.begin('me'), whole, 0)
    const { store } = opened(bucket)
    await expect(append(store, upload, whole, whole.length)).rejects.toMatchObject(unknown)
  })

  it('that got no part before their process died are empty', async () => {
    const bucket = memoryBucket()
    const { store } = opened(bucket)
    const upload = store.begin('me')
    await bucket.startMultipart(`d/${upload.id.slice(-2)}/${upload.id}.x`, io)
    const { store: beside } = opened(bucket)
    expect(await sizeAt(beside, upload)).toBe(0)
    const key = await beside.complete(upload, 0, io)
    expect(await contentAt(beside, key)).toHaveLength(0)
    expect(await bucket.multiparts('', io)).toEqual([])
  })
})
