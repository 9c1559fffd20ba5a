import fs from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect, it, vi } from 'vitest'
import { durableFolders, file } from '../../storage/durable.ts'
import { folderStore } from '../../storage/folder.ts'
import { openFolder } from '../../storage/open.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { fault, io, soon } from '../helpers/waiting.ts'

it('makes a folder with all its parents, and syncs each parent once', async () => {
  const root = await temporaryFolder()
  const fsync = vi.spyOn(file, 'fsync')
  const folders = durableFolders(root, true)
  await folders.ensure(join(root, 'a/b/c'))
  expect(fs.statSync(join(root, 'a/b/c')).isDirectory()).toBe(true)
  expect(fsync).toHaveBeenCalledTimes(3)
  await folders.ensure(join(root, 'a/b/c'))
  expect(fsync).toHaveBeenCalledTimes(3)
})

it('shares one fsync among those who wait, but not one that began before they came', async () => {
  const root = await temporaryFolder()
  const gate = Promise.withResolvers<void>()
  const { sync } = durableFolders(root, true)
  const fsync = vi.spyOn(file, 'fsync').mockImplementationOnce(() => gate.promise)
  const first = sync(root)
  const later = Array.from({ length: 20 }, () => sync(root))
  gate.resolve()
  await Promise.all([first, ...later])
  expect(fsync).toHaveBeenCalledTimes(2)
  await sync(root)
  expect(fsync).toHaveBeenCalledTimes(3)
})

it('tells those who waited for an fsync that failed, and tries anew for those who came later', async () => {
  const root = await temporaryFolder()
  const { sync } = durableFolders(root, true)
  vi.spyOn(file, 'fsync').mockRejectedValueOnce(new Error('broken disk'))
  const first = sync(root)
  const later = sync(root)
  await expect(first).rejects.toThrow('broken disk')
  await later
  await sync(root)
})

it('takes a record that a power cut left empty for none, which exactly one of many creates', async () => {
  const root = await temporaryFolder()
  const store = folderStore(root, { durability: 'relaxed' })
  await durableFolders(root, false).ensure(join(root, 'tmp'))
  await durableFolders(root, false).ensure(join(root, 'x'))
  await writeFile(join(root, 'x/hole'), '')
  expect(await store.read('x/hole', io)).toBeUndefined()
  const create = (at: number) => store.write('x/hole', Buffer.from(`${at}`), soon({ ifAbsent: true }))
  const created = await Promise.all([1, 2, 3, 4].map(create))
  expect(created.filter(Boolean)).toHaveLength(1)
  expect(await store.read('x/hole', io)).toBeDefined()
})

it('gives up an upload that a disk has refused once, as it may claim to have it the next time', async () => {
  const store = folderStore(await temporaryFolder(), { durability: 'full' })
  const upload = store.begin('me')
  const bytes = { open: () => Readable.from([Buffer.from('bytes')]) }
  await store.append(upload, bytes, { ...io, offset: 0, witness: { update() {} } })
  const broken = Object.assign(new Error('broken disk'), { code: 'EIO' })
  vi.spyOn(file, 'fsync').mockRejectedValueOnce(broken)
  await expect(store.complete(upload, 5, io)).rejects.toMatchObject(fault('STORAGE_UNAVAILABLE'))
  await expect(store.complete(upload, 5, io)).rejects.toMatchObject(fault('UPLOAD_UNKNOWN'))
  await store.close()
})

it('goes on when a server that starts has swept the folder where its records are made', async () => {
  const root = await temporaryFolder()
  await durableFolders(root, false).ensure(join(root, 'tmp'))
  const store = folderStore(root, { durability: 'full' })
  await store.write('a/first', Buffer.from('1'), soon())
  fs.rmSync(join(root, 'tmp', String(process.pid)), { recursive: true })
  await store.write('a/second', Buffer.from('2'), soon())
  expect((await store.read('a/second', io))?.bytes.toString()).toBe('2')
  await store.close()
})

it('lets a server start while a command makes records', async () => {
  const root = await temporaryFolder()
  const start = async () => (await openFolder(root, 'server', { durability: 'relaxed' })).close()
  await start()
  const command = folderStore(root, { durability: 'relaxed' })
  const opened = Promise.withResolvers<void>()
  let going = true
  async function write(writer: number): Promise<void> {
    // One that is swept away before it has its name fails, and is not there.
    for (let at = 0; going; at++) {
      const key = `a/${writer}-${at}`
      const written = await command
        .write(key, Buffer.from('1'), soon({ ifAbsent: true }))
        .catch(() => undefined)
      if (at % 10 === 0) expect((await command.read(key, io)) !== undefined).toBe(written !== undefined)
      if (at === 10) opened.resolve()
    }
  }
  const writing = Promise.all([1, 2, 3, 4].map(write))
  await opened.promise
  for (let times = 0; times < 100; times++) await start()
  going = false
  await writing
  await command.close()
})

it('leaves nothing of a record whose folder cannot be made', async () => {
  const root = await temporaryFolder()
  const store = folderStore(root, { durability: 'full' })
  fs.mkdirSync(join(root, 'tmp'))
  const full = Object.assign(new Error('no space'), { code: 'ENOSPC' })
  await store.write('a/first', Buffer.from('1'), soon())
  vi.spyOn(file, 'mkdir').mockRejectedValueOnce(full)
  await expect(store.write('b/second', Buffer.from('2'), soon())).rejects.toMatchObject(fault('STORAGE_FULL'))
  expect(fs.readdirSync(join(root, 'tmp', String(process.pid)))).toEqual([])
  await store.close()
  expect(fs.readdirSync(join(root, 'tmp'))).toEqual([])
})
