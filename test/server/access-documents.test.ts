import { expect, it } from 'vitest'
import { accessDocuments } from '../../server/access-documents.ts'
import { bucketStore } from '../../storage/bucket-store.ts'
import { cached } from '../../storage/cached.ts'
import { partBuffers } from '../../storage/part-buffers.ts'
import { storedUser } from '../helpers/access.ts'
import { memoryBucket } from '../helpers/buckets.ts'
import { ownedFolder } from '../helpers/folder.ts'
import { io } from '../helpers/waiting.ts'

const users = (count: number) => ({
  users: Array.from({ length: count }, (_, at) => storedUser(`user${at}`)),
})

it.for([10, 20_000])('finds the same object as long as nothing has changed, for %i users', async count => {
  const { store, beside } = await ownedFolder()
  const documents = accessDocuments(cached(store, { maxBytes: 64 * 1024 * 1024 }))
  await documents.write('access', users(count), undefined, io)
  const first = await documents.read('access', io)
  expect(first?.value).toEqual(users(count))
  for (let again = 0; again < 3; again++)
    expect((await documents.read('access', io))?.value).toBe(first?.value)

  const other = accessDocuments(await beside())
  expect(await other.write('access', users(count + 1), first?.version, io)).toBe(true)
  expect((await documents.read('access', io))?.value).toEqual(users(count + 1))
  expect(await documents.write('access', users(0), first?.version, io)).toBe(false)
})

it.for(['bare', 'remembering'])(
  'finds what it has written in a bucket, though reads are trusted there: %s',
  async how => {
    const bucket = memoryBucket()
    const guarantees = { conditionalWrite: true, conditionalRemove: true }
    const open = () => bucketStore(bucket, guarantees, partBuffers({ bytes: 1024, most: 1 }))
    const store = how === 'bare' ? open() : cached(open(), { maxBytes: 1024 * 1024 })
    const documents = accessDocuments(store)
    await documents.write('access', users(1), undefined, io)
    const first = await documents.read('access', io)
    expect(await documents.write('access', users(2), first?.version, io)).toBe(true)
    const second = await documents.read('access', io)
    expect(second?.value).toEqual(users(2))

    // Who was too late begins again with what is there.
    expect(await accessDocuments(open()).write('access', users(3), second?.version, io)).toBe(true)
    expect(await documents.write('access', users(4), second?.version, io)).toBe(false)
    expect((await documents.read('access', io))?.value).toEqual(users(3))
  },
)
