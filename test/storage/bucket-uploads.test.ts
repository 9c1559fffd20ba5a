/** Uploads into buckets of real engines, by one process or several. */
import { createHash, type Hash } from 'node:crypto'
import { expect } from 'vitest'
import type { RegistryError } from '../../oci/errors.ts'
import type { Bucket } from '../../storage/bucket.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { partBuffers } from '../../storage/part-buffers.ts'
import {
  append,
  contentAt,
  hanging,
  io,
  partBytes,
  sizeAt,
  storeOver,
  unknown,
  watchedBuffers,
} from '../helpers/bucket-uploads.ts'
import { bucketAt, counted } from '../helpers/buckets.ts'
import { randomBytes } from '../helpers/images.ts'
import { describeEngines, type S3Engine } from '../helpers/s3-engine.ts'
import { until } from '../helpers/until.ts'

/** Three parts of content, the last of which is not full. */
const bytes = randomBytes('uploads', 2 * partBytes + 1_000_000)
const other = randomBytes('others', bytes.length)
/** What ends an upload that somebody else goes on with as well; the last where the checksum of the whole is another. */
const refusals = ['UPLOAD_UNKNOWN', 'UPLOAD_BUSY', 'UPLOAD_OUT_OF_ORDER', 'STORAGE_UNAVAILABLE']

const hashOf = (whole: Buffer) => createHash('sha256').update(whole).digest('hex')

/** What is in the bucket beside content. */
const tails = async (bucket: Bucket) =>
  (await bucket.list('u/', { ...io, limit: 100 })).entries.map(({ key }) => key.split('/')[1])

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
    const upload = await append(one, one.begin('me'), small, 0, { replaces: true })
    const key = await one.complete(upload, small.length, io)
    expect(asked()).toEqual({ put: 1 })
    expect((await contentAt(one, key)).equals(small)).toBe(true)
    expect(await tails(bucket)).toEqual([])
  })

  it('stores more in parts, and completes them in one request', async ({ engine, bucket: name }) => {
    const { bucket, asked, one } = over(engine, name)
    const upload = await append(one, one.begin('me'), bytes, 0, { replaces: true, isLast: true })
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
      const dying = one.append(
        upload,
        { open: () => stream },
        { ...io, offset: acknowledged, witness: { update() {} } },
      )
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

  it.for([0, 1000, 100_000, partBytes + 1000])(
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
      // Of parts that are shared, each may have replaced one of the other's; few bytes are gone when one has completed them.
      if (shared === 100_000) expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled'])
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
    expect(await sizeAt(storeOver(bucket), upload)).toBeUndefined()
  })

  it('lets forty upload at once with the memory of eight parts', async ({ engine, bucket: name }) => {
    const buffers = partBuffers({ bytes: partBytes, most: 8 })
    const { held, watched } = watchedBuffers(buffers)
    const { bucket } = over(engine, name)
    const store = storeOver(bucket, watched)
    const whole = bytes.subarray(0, partBytes + 50_000)
    const keys = await Promise.all(
      Array.from({ length: 40 }, async (_, at) => {
        const upload = await append(store, store.begin(`owner ${at}`), whole, 0, { isLast: true })
        return store.complete(upload, whole.length, io)
      }),
    )
    expect(new Set(keys).size).toBe(40)
    expect(held()).toEqual({ now: 0, most: 8 })
    expect((await contentAt(store, keys[39] ?? '')).equals(whole)).toBe(true)
  }, 60_000)
})
