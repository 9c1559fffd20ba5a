import { createHash, type Hash } from 'node:crypto'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it as plainIt, vi } from 'vitest'
import { RegistryError } from '../../oci/errors.ts'
import type { Bucket } from '../../storage/bucket.ts'
import { bucketStore } from '../../storage/bucket-store.ts'
import type { AppendOptions, ObjectStore, Upload } from '../../storage/object-store.ts'
import { type PartBuffers, partBuffers } from '../../storage/part-buffers.ts'
import { bucketAt, counted, memoryBucket } from '../helpers/buckets.ts'
import { randomBytes } from '../helpers/images.ts'
import { describeEngines, type S3Engine } from '../helpers/s3-engine.ts'
import { until } from '../helpers/until.ts'

const partBytes = 5 * 1024 * 1024
/** Three parts of content, the last of which is not full. */
const bytes = randomBytes('uploads', 2 * partBytes + 1_000_000)
const other = randomBytes('others', bytes.length)
const unknown = { fault: 'UPLOAD_UNKNOWN' }

/** What ends an upload that somebody else goes on with as well; the last where the checksum of the whole is another. */
const refusals = ['UPLOAD_UNKNOWN', 'UPLOAD_BUSY', 'UPLOAD_OUT_OF_ORDER', 'STORAGE_UNAVAILABLE']

const conditions = { conditionalWrite: true, conditionalRemove: false }
const storeOver = (bucket: Bucket, buffers: PartBuffers = partBuffers({ bytes: partBytes, most: 4 })) =>
  bucketStore(bucket, conditions, buffers)

function* pieces(whole: Buffer) {
  for (let at = 0; at < whole.length; at += 65_536) yield whole.subarray(at, at + 65_536)
}

const { signal } = new AbortController()
const io = { signal }
const hashOf = (whole: Buffer) => createHash('sha256').update(whole).digest('hex')

async function append(
  store: ObjectStore,
  upload: Upload,
  whole: Buffer,
  offset: number,
  options: Partial<AppendOptions> = {},
): Promise<Upload> {
  const source = { stream: Readable.from(pieces(whole)) }
  const added = await store.append(upload, source, { ...io, offset, witness: { update() {} }, ...options })
  expect(added.size).toBe(offset + whole.length)
  return added.upload
}

async function contentAt(store: ObjectStore, key: string): Promise<Buffer> {
  const found = await store.open(key, io)
  if (found?.kind !== 'stream') throw new Error('expected a stream')
  return buffer(found.stream)
}

const sizeAt = async (store: ObjectStore, upload: Upload) =>
  (await store.uploaded(upload, { ...io, exact: true }))?.size

/** What is in the bucket beside content. */
const tails = async (bucket: Bucket) =>
  (await bucket.list('u/', { ...io, limit: 100 })).entries.map(({ key }) => key.split('/')[1])

/** A source that yields these bytes and then nothing, neither more nor its end. */
function hanging(whole: Buffer): PassThrough {
  const source = new PassThrough({ highWaterMark: whole.length + 1 })
  source.write(whole)
  return source
}

async function expectFullParts(bucket: Bucket, count: number): Promise<void> {
  await until(`${count} full parts are stored`, async () => {
    const [open] = await bucket.multiparts('d/', io)
    const stored = (open && (await bucket.parts(open, io))) ?? []
    return stored.filter(({ size }) => size === partBytes).length === count
  })
}

describeEngines(it => {
  const over = (engine: S3Engine, name: string) => {
    const { bucket, asked } = counted(bucketAt(engine, name))
    return { bucket, asked, one: storeOver(bucket), two: storeOver(bucket) }
  }

  it('stores what fits a part in one request', async ({ engine, bucket: name }) => {
    const { bucket, asked, one } = over(engine, name)
    const small = bytes.subarray(0, 100_000)
    const upload = await append(one, one.begin('me'), small, 0)
    const key = await one.complete(upload, small.length, io)
    expect(asked()).toEqual({ put: 1 })
    expect((await contentAt(one, key)).equals(small)).toBe(true)
    expect(await tails(bucket)).toEqual([])
  })

  it('stores more in parts, and completes them in one request', async ({ engine, bucket: name }) => {
    const { bucket, asked, one } = over(engine, name)
    const upload = await append(one, one.begin('me'), bytes, 0, { isLast: true })
    expect(asked()).toEqual({ startMultipart: 1, putPart: 3 })
    const key = await one.complete(upload, bytes.length, io)
    expect(asked()).toEqual({ completeMultipart: 1 })
    expect((await contentAt(one, key)).equals(bytes)).toBe(true)
    expect(await tails(bucket)).toEqual([])
    expect(await one.uploads(undefined, io)).toEqual([])
  })

  it('goes on, and completes, in any process', async ({ engine, bucket: name }) => {
    const { bucket, one, two } = over(engine, name)
    const cuts = [0, 1_000_000, partBytes, partBytes + 300_000, 2 * partBytes, bytes.length]
    let upload = one.begin('me')
    for (const [index, from] of cuts.slice(0, -1).entries()) {
      const store = index % 2 === 0 ? one : two
      expect(await sizeAt(store, upload)).toBe(from === 0 ? undefined : from)
      upload = await append(store, upload, bytes.subarray(from, cuts[index + 1]), from)
    }
    const key = await two.complete(upload, bytes.length, io)
    expect((await contentAt(one, key)).equals(bytes)).toBe(true)
    await until('no tail is left', async () => (await tails(bucket)).length === 0)
  })

  it.for([0, partBytes + 1_000_000])(
    'goes on behind the last full part where a process died that had %i bytes acknowledged',
    async (acknowledged, { engine, bucket: name }) => {
      const { bucket, one, two } = over(engine, name)
      const first = one.begin('me')
      const upload = acknowledged === 0 ? first : await append(one, first, bytes.subarray(0, acknowledged), 0)
      const stream = hanging(bytes.subarray(acknowledged, -1))
      const dying = one.append(upload, { stream }, { ...io, offset: acknowledged, witness: { update() {} } })
      await expectFullParts(bucket, 2)
      expect(await sizeAt(two, upload)).toBe(2 * partBytes)
      const whole = await append(two, upload, bytes.subarray(2 * partBytes), 2 * partBytes)
      const key = await two.complete(whole, bytes.length, io)
      expect((await contentAt(two, key)).equals(bytes)).toBe(true)
      await until('no tail is left', async () => (await tails(bucket)).length === 0)
      stream.destroy(new Error('died'))
      await expect(dying).rejects.toThrow()
      expect((await contentAt(two, key)).equals(bytes)).toBe(true)
    },
  )

  it('never changes what is complete, whoever sends what it was made of again', async ({
    engine,
    bucket: name,
  }) => {
    const { one, two, bucket } = over(engine, name)
    for (const sizes of [
      [1000, 5000],
      [1000, bytes.length],
      [partBytes + 1000, bytes.length],
    ] as const) {
      const states = [one.begin('me')]
      let size = 0
      for (const next of sizes) {
        const latest = states.at(-1) ?? one.begin('me')
        states.push(await append(one, latest, bytes.subarray(size, next), size))
        size = next
      }
      const last = states.at(-1) ?? one.begin('me')
      const key = await one.complete(last, size, io)
      for (const store of [one, two, storeOver(bucket)])
        for (const [index, state] of states.entries()) {
          const offset = index === 0 ? 0 : (sizes[index - 1] ?? 0)
          const forged = other.subarray(offset)
          const again = await append(store, state, forged, offset).catch(error => {
            expect(error).toMatchObject(unknown)
          })
          if (again) await store.complete(again, other.length, io)
          await store.abort(again ?? state, io)
          expect((await contentAt(store, key)).equals(bytes.subarray(0, size))).toBe(true)
        }
    }
  })

  it.for([0, 1000, partBytes + 1000])(
    'completes for two who both went on behind %i bytes what each has seen, or nothing',
    async (shared, { engine, bucket: name }) => {
      const { one, two } = over(engine, name)
      const begun = one.begin('me')
      const upload = shared === 0 ? begun : await append(one, begun, bytes.subarray(0, shared), 0)
      const race = async (store: ObjectStore, whole: Buffer) => {
        const hash: Hash = createHash('sha256').update(bytes.subarray(0, shared))
        const grown = await append(store, upload, whole.subarray(shared), shared, { witness: hash })
        const key = await store.complete(grown, whole.length, io)
        return { seen: hash.digest('hex'), there: hashOf(await contentAt(store, key)) }
      }
      const ends = await Promise.allSettled([race(one, bytes), race(two, other)])
      for (const end of ends)
        if (end.status === 'fulfilled') expect(end.value.there).toBe(end.value.seen)
        else expect(refusals).toContain((end.reason as RegistryError).fault)
      // Nobody shares what fits a part; of parts that are shared, each may have replaced one of the other's.
      if (shared === 1000) expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled'])
    },
  )

  it('completes nothing whose parts somebody else has replaced', async ({ engine, bucket: name }) => {
    const { one, two } = over(engine, name)
    const upload = await append(one, one.begin('me'), bytes.subarray(0, partBytes + 1000), 0)
    const rest = (whole: Buffer) => whole.subarray(partBytes + 1000)
    const mine = await append(one, upload, rest(bytes), partBytes + 1000)
    const theirs = await append(two, upload, rest(other), partBytes + 1000, { replaces: true })
    await expect(one.complete(mine, bytes.length, io)).rejects.toMatchObject(unknown)
    const key = await two.complete(theirs, bytes.length, io)
    const expected = Buffer.concat([bytes.subarray(0, partBytes + 1000), rest(other)])
    expect((await contentAt(one, key)).equals(expected)).toBe(true)
    await expect(one.complete(mine, bytes.length, io)).rejects.toMatchObject(unknown)
  })

  it('forgets an upload in parts for every process', async ({ engine, bucket: name }) => {
    const { bucket, one, two } = over(engine, name)
    const upload = await append(one, one.begin('me'), bytes, 0)
    await two.abort(upload, io)
    await expect(one.complete(upload, bytes.length, io)).rejects.toMatchObject(unknown)
    await expect(storeOver(bucket).uploaded(upload, io)).rejects.toMatchObject(unknown)
    await expect(append(one, upload, bytes, bytes.length)).rejects.toMatchObject(unknown)
    expect(await one.uploads(undefined, io)).toEqual([])
    await until('no tail is left', async () => (await tails(bucket)).length === 0)
  })

  it('forgets all that several processes have begun of one upload', async ({ engine, bucket: name }) => {
    const { bucket, one } = over(engine, name)
    const upload = one.begin('me')
    const blank = storeOver(bucket)
    await append(one, upload, bytes, 0)
    await bucket.startMultipart(`d/${upload.id.slice(-2)}/${upload.id}.another`, io)
    expect(await bucket.multiparts('d/', io)).toHaveLength(2)
    expect(await blank.uploads('me', io)).toEqual([{ id: upload.id, owner: 'me' }])
    await blank.abort({ id: upload.id, owner: '' }, io)
    expect(await bucket.multiparts('d/', io)).toEqual([])
    await expect(sizeAt(storeOver(bucket), upload)).rejects.toMatchObject(unknown)
  })

  it('lets forty upload at once with the memory of eight parts', async ({ engine, bucket: name }) => {
    const buffers = partBuffers({ bytes: partBytes, most: 8 })
    const { held, watched } = watchedBuffers(buffers)
    const { bucket } = over(engine, name)
    const store = storeOver(bucket, watched)
    const whole = bytes.subarray(0, partBytes + 50_000)
    const keys = await Promise.all(
      Array.from({ length: 40 }, async () => {
        const upload = await append(store, store.begin('me'), whole, 0, { isLast: true })
        return store.complete(upload, whole.length, io)
      }),
    )
    expect(new Set(keys).size).toBe(40)
    expect(held()).toEqual({ now: 0, most: 8 })
    expect((await contentAt(store, keys[39] ?? '')).equals(whole)).toBe(true)
  }, 60_000)
})

/** Counts the buffers that somebody has. */
function watchedBuffers(buffers: PartBuffers) {
  const out = new Set<Buffer>()
  let most = 0
  const handed = (given: Buffer) => {
    expect(out.has(given)).toBe(false)
    out.add(given)
    most = Math.max(most, out.size)
    return given
  }
  const watched: PartBuffers = {
    ...buffers,
    take: async io => handed(await buffers.take(io)),
    tryTake() {
      const given = buffers.tryTake()
      return given && handed(given)
    },
    give(given) {
      expect(out.delete(given)).toBe(true)
      buffers.give(given)
    },
  }
  return { watched, held: () => ({ now: out.size, most }) }
}

describe('uploads into a bucket', () => {
  const small = 1000
  const whole = bytes.subarray(0, 3500)
  const opened = (bucket: Bucket, most = 2) => {
    const { held, watched } = watchedBuffers(partBuffers({ bytes: small, most }))
    return { held, store: storeOver(bucket, watched) }
  }
  const appending = (
    store: ObjectStore,
    upload: Upload,
    stream: Readable,
    options: Partial<AppendOptions> = {},
  ) => store.append(upload, { stream }, { ...io, offset: 0, witness: { update() {} }, ...options })

  plainIt('give the buffer of a client back that goes away, also while it waits for one', async () => {
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

  plainIt.for([1, 2, 4])('keep only what was stored where a part fails, with %i buffers', async most => {
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

  plainIt('leave the sender there to be told that it may not begin another', async () => {
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

  plainIt('take no part behind a gap for one of the row', async () => {
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

  plainIt('do not end as an upload that was cancelled meanwhile', async () => {
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

  plainIt('do not grow any more once they were joined to be read', async () => {
    const { bucket, asked } = counted(memoryBucket())
    const { store } = opened(bucket)
    const upload = await append(store, store.begin('me'), whole, 0)
    const again = await store.reread(upload, io)
    expect(again && (await buffer(again)).equals(whole)).toBe(true)
    asked()
    await expect(append(store, upload, whole, whole.length)).rejects.toMatchObject(unknown)
    expect(asked()).toEqual({})
    // Nothing has become of it.
    await expect(store.complete(upload, whole.length, io)).rejects.toMatchObject(unknown)
  })

  plainIt('that fit a part are gone after a day', async () => {
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

  plainIt('that got no part before their process died are empty', async () => {
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
