/** What removals leave behind, where they may have a condition and where not. */
import { expect, it, onTestFinished } from 'vitest'
import type { Bucket } from '../../storage/bucket.ts'
import { bucketStore } from '../../storage/bucket-store.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { partBuffers } from '../../storage/part-buffers.ts'
import { memoryBucket } from '../helpers/buckets.ts'
import { pusher, registryOver } from '../helpers/local-registry.ts'
import { pause } from '../helpers/until.ts'
import { io, soon } from '../helpers/waiting.ts'

const key = 't/some/latest'
const bytesOf = (text: string) => Buffer.from(text)

const storeWith = (bucket: Bucket, conditionalRemove: boolean, restMs?: number) => {
  const guarantees = { conditionalWrite: true, conditionalRemove }
  const times = restMs === undefined ? {} : { restMs }
  const store = bucketStore(bucket, guarantees, partBuffers({ bytes: 1024, most: 1 }), times)
  onTestFinished(() => store.close())
  return store
}
const objectsIn = async (bucket: Bucket) =>
  (await bucket.list('', { ...io, limit: 10 })).entries.map(({ key }) => key)

it('writes where another process removed, whatever that one found the bucket to do', async () => {
  const bucket = memoryBucket()
  const [able, unable] = [storeWith(bucket, true), storeWith(bucket, false)]
  for (const text of ['first', 'second']) {
    const written = await able.write(key, bytesOf(text), soon({ ifAbsent: true }))
    expect(written).toBeDefined()
    expect((await unable.read(key, io))?.bytes.toString()).toBe(text)
    expect(await unable.remove(key, soon({ ifMatch: written?.etag ?? '' }))).toBe(true)
    expect(await able.read(key, io)).toBeUndefined()
  }
  expect(await able.write(key, bytesOf('third'), soon({ ifAbsent: true }))).toBeDefined()
  expect(await able.write(key, bytesOf('other'), soon({ ifAbsent: true }))).toBeUndefined()
  expect((await unable.read(key, io))?.bytes.toString()).toBe('third')
})

async function removed(store: ObjectStore, key: string): Promise<void> {
  const written = await store.write(key, bytesOf('first'), soon({ ifAbsent: true }))
  expect(await store.remove(key, soon({ ifMatch: written?.etag ?? '' }))).toBe(true)
  expect(await store.read(key, io)).toBeUndefined()
}

it('removes what says that there is nothing when it has rested, where that can have a condition', async () => {
  const bucket = memoryBucket()
  const resting = storeWith(bucket, true, 20)
  for (const key of ['t/some/one', 't/some/two']) await removed(resting, key)
  expect(await resting.write('t/some/two', bytesOf('second'), soon({ ifAbsent: true }))).toBeDefined()
  await expect.poll(() => objectsIn(bucket)).toEqual(['t/some/two'])
  // Also when there was nothing left to wait for.
  await removed(resting, 't/some/three')
  await expect.poll(() => objectsIn(bucket)).toEqual(['t/some/two'])
  expect((await resting.read('t/some/two', io))?.bytes.toString()).toBe('second')
})

it('leaves it where it is while somebody may still write there, and where there are no such conditions', async () => {
  const bucket = memoryBucket()
  await removed(storeWith(bucket, true), 't/some/one')
  await removed(storeWith(bucket, false, 1), 't/some/two')
  await pause(50)
  expect(await objectsIn(bucket)).toEqual(['t/some/one', 't/some/two'])
})

it('takes nothing that was meant for an earlier removal for one of a later', async () => {
  const bucket = memoryBucket()
  const store = storeWith(bucket, true)
  await removed(store, key)
  const seen = await bucket.read(key, io)
  await removed(store, key)
  const late = { ...soon({ ifMatch: seen?.etag ?? '' }) }
  expect(await bucket.put(key, bytesOf('late'), late)).toBeUndefined()
  expect(await bucket.remove(key, late)).toBe(false)
  expect(await store.read(key, io)).toBeUndefined()
})

it('agrees on what seals the addresses of uploads, also where two begin at once and no condition is kept', async () => {
  const bucket = memoryBucket()
  const node = () => {
    const lax = { conditionalWrite: false, conditionalRemove: false }
    return registryOver(bucketStore(bucket, lax, partBuffers({ bytes: 1024, most: 1 }), { trustedMs: 20 }))
  }
  const [one, two] = [node(), node()]
  const begun = await Promise.all([one, two].map(({ uploads }) => uploads.start(pusher, 'sha256', io)))
  for (const { address } of begun)
    for (const { uploads } of [one, two, node()])
      expect(await uploads.find(pusher, address, io)).toMatchObject({ size: 0 })
})
