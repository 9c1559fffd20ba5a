import { expect, it } from 'vitest'
import { accessDocuments } from '../../server/access-documents.ts'
import { cached } from '../../storage/cached.ts'
import { storedUser } from '../helpers/access.ts'
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
