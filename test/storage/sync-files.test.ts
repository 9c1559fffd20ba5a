import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { afterEach, expect, it, vi } from 'vitest'
import { file } from '../../storage/durable.ts'
import { syncFiles } from '../../storage/sync-files.ts'
import { temporaryFolder } from '../helpers/folder.ts'

const keys = ['b/sha256/abc/one', 'b/sha256/def/two']

afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

async function folderWith(): Promise<{ root: string; synced: () => readonly string[] }> {
  const root = await temporaryFolder()
  for (const key of keys) {
    mkdirSync(dirname(join(root, key)), { recursive: true })
    writeFileSync(join(root, key), key)
  }
  const opened = new Map<number, string>()
  const { open } = file
  vi.spyOn(file, 'open').mockImplementation(async (path, ...options) => {
    const fd = await open(path, ...options)
    opened.set(fd, relative(root, String(path)))
    return fd
  })
  const synced: string[] = []
  const { fsync } = file
  vi.spyOn(file, 'fsync').mockImplementation(async fd => {
    synced.push(opened.get(fd) ?? 'unknown')
    await fsync(fd)
  })
  return { root, synced: () => synced.toSorted() }
}

it('syncs all of them at once', async () => {
  const { root, synced } = await folderWith()
  await syncFiles(root, keys)
  expect(synced()).toEqual([])
})

it('syncs one after another, with their folders, where there is no program for that', async () => {
  const { root, synced } = await folderWith()
  vi.stubEnv('PATH', root)
  await syncFiles(root, [...keys, 'b/sha256/abc/gone'])
  expect(synced()).toEqual([
    '',
    'b',
    'b/sha256',
    'b/sha256/abc',
    'b/sha256/abc/one',
    'b/sha256/def',
    'b/sha256/def/two',
  ])
})

it('fails where the disk does', async () => {
  const { root } = await folderWith()
  vi.stubEnv('PATH', root)
  vi.spyOn(file, 'fsync').mockRejectedValueOnce(new Error('EIO'))
  await expect(syncFiles(root, keys)).rejects.toThrow('EIO')
})
