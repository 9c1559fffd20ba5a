import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { file } from '../../storage/durable.ts'
import { folderListing } from '../../storage/folder-listing.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { io } from '../helpers/waiting.ts'

const page = { ...io, limit: 2 }

async function folderOfThree() {
  const root = await temporaryFolder()
  mkdirSync(join(root, 't'))
  for (const name of ['a', 'b', 'c']) writeFileSync(join(root, 't', name), '')
  return root
}

it('reads a folder once for all who ask at the same time, and not again until it changes', async () => {
  const root = await folderOfThree()
  const hourAgo = Date.now() / 1000 - 3600
  utimesSync(join(root, 't'), hourAgo, hourAgo)
  const readdir = vi.spyOn(file, 'readdir')
  const list = folderListing(root)
  const pages = await Promise.all(Array.from({ length: 20 }, () => list('t/', page)))
  expect(new Set(pages.map(({ keys }) => keys.join()))).toEqual(new Set(['t/a,t/b']))
  expect((await list('t/', { ...page, after: 't/b' })).keys).toEqual(['t/c'])
  expect(readdir).toHaveBeenCalledTimes(1)
  writeFileSync(join(root, 't', '0'), '')
  expect((await list('t/', page)).keys).toEqual(['t/0', 't/a'])
  expect(readdir).toHaveBeenCalledTimes(2)
})

it('shares nothing with who asked before the last change, within one tick of the clock', async () => {
  const root = await folderOfThree()
  const list = folderListing(root)
  const before = list('t/', page)
  writeFileSync(join(root, 't', '0'), '')
  expect((await list('t/', page)).keys).toEqual(['t/0', 't/a'])
  await before
})
