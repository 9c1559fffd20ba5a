import { utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { vi } from 'vitest'
import { memoryStore } from '../../storage/memory.ts'
import { describeRegistry } from '../contract/registry.ts'
import { ownedFolder } from '../helpers/folder.ts'
import { io, soon } from '../helpers/waiting.ts'

const hourMs = 3600_000

describeRegistry('a registry in memory', async () => {
  const store = memoryStore()
  return {
    store,
    async age(key, hours) {
      const found = await store.read(key, io)
      if (!found) throw new Error(`nothing is at ${key}`)
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - hours * hourMs })
      await store.write(key, found.bytes, soon())
      vi.useRealTimers()
    },
  }
})

describeRegistry('a registry in a folder', async () => {
  const { store, root } = await ownedFolder()
  return {
    store,
    async age(key, hours) {
      const then = new Date(Date.now() - hours * hourMs)
      await utimes(join(root, key), then, then)
    },
  }
})
