/** Stores over a folder of a test's own, which goes with the test. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { ObjectStore } from '../../storage/object-store.ts'
import { joinFolder, openFolder } from '../../storage/open.ts'

export async function temporaryFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'slipway-storage-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

export interface Opened {
  readonly store: ObjectStore
  /** The same records and content through an object of its own, as another process has it. */
  beside(): Promise<ObjectStore>
  readonly root?: string
}

export async function ownedFolder(): Promise<Opened & { root: string }> {
  const root = await temporaryFolder()
  const { store, close } = await openFolder(root, 'server', { durability: 'relaxed' })
  onTestFinished(close)
  return { store, root, beside: () => joined(root) }
}

async function joined(root: string): Promise<ObjectStore> {
  const { store, close } = await joinFolder(root, { durability: 'relaxed' })
  onTestFinished(close)
  return store
}

/** A folder whose conditions another connection's end decides. */
export async function joinedFolder(): Promise<Opened & { root: string }> {
  const { store, root } = await ownedFolder()
  return { store: await joined(root), root, beside: async () => store }
}
