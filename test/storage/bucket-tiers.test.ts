/** Processes that found different things of one bucket: what one sees in a race another may not have seen. */
import { expect, it } from 'vitest'
import { bucketStore } from '../../storage/bucket-store.ts'
import { partBuffers } from '../../storage/part-buffers.ts'
import { memoryBucket } from '../helpers/buckets.ts'
import { io, soon } from '../helpers/waiting.ts'

const key = 't/some/latest'
const bytesOf = (text: string) => Buffer.from(text)

it('writes where a process removed that knows of no removals under a condition', async () => {
  const bucket = memoryBucket()
  const storeWith = (conditionalRemove: boolean) =>
    bucketStore(bucket, { conditionalWrite: true, conditionalRemove }, partBuffers({ bytes: 1024, most: 1 }))
  const [able, unable] = [storeWith(true), storeWith(false)]
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
