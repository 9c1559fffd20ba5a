import { cached } from '../../storage/cached.ts'
import { memoryStore } from '../../storage/memory.ts'
import { describeObjectStore } from '../contract/object-store.ts'
import { joinedFolder, ownedFolder } from '../helpers/folder.ts'

const cacheLimits = { maxBytes: 1024 * 1024 }

describeObjectStore('memoryStore', async () => {
  const store = memoryStore()
  return { store, beside: async () => store }
})

describeObjectStore('folderStore', ownedFolder)

describeObjectStore('cached folderStore', async () => {
  const { store, beside } = await ownedFolder()
  return { store: cached(store, cacheLimits), beside: async () => cached(await beside(), cacheLimits) }
})

describeObjectStore('folderStore beside its owner', joinedFolder)
