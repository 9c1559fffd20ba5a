/** The write-ahead log of a folder, with several processes at it: each store here is another connection to the owner. */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { cached } from '../../storage/cached.ts'
import { file } from '../../storage/durable.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { joinFolder, type OpenStore, openFolder } from '../../storage/open.ts'
import { encodeWord, sealPosition } from '../../storage/wal-format.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { openDescriptors } from '../helpers/processes.ts'
import { until } from '../helpers/until.ts'
import { io, soon } from '../helpers/waiting.ts'

const durability = 'full'
const key = (word: string) => `b/sha256/abc/abc${word}.r.repository`
const record = (word: string) => Buffer.from(`{"n":"${word}"}`)

async function opened(opening: Promise<OpenStore>): Promise<OpenStore> {
  const { store, format, close } = await opening
  let closing: Promise<void> | undefined
  const once = () => (closing ??= close())
  onTestFinished(once)
  return { store, format, close: once }
}
const serve = (root: string) => opened(openFolder(root, 'server', { durability }))
const join_ = (root: string) => opened(joinFolder(root, { durability }))

/** Until a store has a segment of its own. */
async function overwrite(store: ObjectStore, at: string, bytes: Buffer): Promise<void> {
  await until('there is room in the log', async () => (await store.overwrite?.(at, bytes, soon())) === true)
}

const segmentsIn = (root: string) => readdirSync(join(root, 'wal')).filter(name => /^\d+$/.test(name))
const textAt = async (store: ObjectStore, at: string) => (await store.read(at, io))?.bytes.toString()

/** What a machine that loses power now would find, had it synced everything; without `lost`, which it had not. */
async function afterPowerCut(root: string, lost: readonly string[] = []): Promise<string> {
  const copy = join(await temporaryFolder(), 'data')
  cpSync(root, copy, { recursive: true, filter: path => !path.includes('owner.') })
  for (const each of lost) rmSync(join(copy, each), { force: true })
  return copy
}

let root: string
let owner: OpenStore
let one: OpenStore
let two: OpenStore
beforeEach(async () => {
  root = await temporaryFolder()
  owner = await serve(root)
  one = await join_(root)
  two = await join_(root)
})
afterEach(() => vi.restoreAllMocks())

it('is seen by every process at once, and is a file soon', async () => {
  await overwrite(one.store, key('1'), record('1'))
  expect(existsSync(join(root, key('1')))).toBe(false)
  for (const { store } of [one, two, owner]) {
    expect(await textAt(store, key('1'))).toBe('{"n":"1"}')
    expect(await store.list('b/', { ...io, limit: 10 })).toEqual({ keys: [key('1')], more: false })
  }
  await until('it is a file', () => existsSync(join(root, key('1'))))
  for (const { store } of [one, two, owner]) expect(await textAt(store, key('1'))).toBe('{"n":"1"}')
})

it('holds what is filled again and again, and no more than three segments for a process', {
  timeout: 40_000,
}, async () => {
  const bytes = Buffer.alloc(60_000, 'x')
  const written: string[] = []
  for (let at = 0; written.length < 1200; at++)
    if (await one.store.overwrite?.(key(`${at}`), bytes, soon())) written.push(key(`${at}`))
    else await new Promise(wake => setTimeout(wake, 5))
  expect(segmentsIn(root).length).toBeLessThanOrEqual(3)
  for (const each of written) expect((await two.store.read(each, io))?.bytes.equals(bytes)).toBe(true)
  const { keys } = await two.store.list('b/', { ...io, limit: 10_000 })
  expect(keys).toEqual([...written].sort())
})

it('stands over what was there', async () => {
  const remembering = cached(two.store, { maxBytes: 1024 * 1024 })
  await two.store.write(key('over'), record('old'), soon({ ifAbsent: true }))
  const versioned = async () => (await remembering.read(key('over'), io))?.version
  await until('it is remembered', async () => (await versioned()) !== undefined)
  const version = (await versioned()) ?? ''
  expect(two.store.isCurrent?.(key('over'), version)).toBe(true)
  await overwrite(one.store, key('over'), record('new'))
  expect(two.store.isCurrent?.(key('over'), version)).toBe(false)
  expect(await textAt(remembering, key('over'))).toBe('{"n":"new"}')
})

it('lists what becomes a file meanwhile once, page by page', async () => {
  const keys = Array.from({ length: 20 }, (_, at) => key(`page${String(at).padStart(2, '0')}`))
  for (const [at, each] of keys.entries())
    if (at % 2) await overwrite(one.store, each, record('log'))
    else await two.store.write(each, record('file'), soon({ ifAbsent: true }))
  const found: string[] = []
  for (let after: string | undefined; ; after = found.at(-1)) {
    const page = await two.store.list('b/sha256/abc/abcpage', { ...io, limit: 3, ...(after && { after }) })
    found.push(...page.keys)
    if (!page.more) break
  }
  expect(found).toEqual(keys)
})

describe('once somebody decides', () => {
  const etagAt = async (store: ObjectStore, at: string) => (await store.read(at, io))?.etag ?? ''

  it('counts as what was there before', async () => {
    await overwrite(one.store, key('cas'), record('1'))
    const etag = await etagAt(two.store, key('cas'))
    expect(await two.store.write(key('cas'), record('no'), soon({ ifMatch: 'other' }))).toBeUndefined()
    expect(await two.store.write(key('cas'), record('2'), soon({ ifMatch: etag }))).toBeDefined()
    for (const { store } of [one, two, owner]) expect(await textAt(store, key('cas'))).toBe('{"n":"2"}')
    await until('the segment is empty', () => !existsSync(join(root, key('cas'))) || isEmpty(root))
    for (const { store } of [one, two, owner]) expect(await textAt(store, key('cas'))).toBe('{"n":"2"}')
  })

  it('is gone for good when it was removed, and back when it was written again', async () => {
    await overwrite(one.store, key('gone'), record('1'))
    await overwrite(one.store, key('gone'), record('2'))
    const etag = await etagAt(two.store, key('gone'))
    expect(await two.store.remove(key('gone'), soon({ ifMatch: etag }))).toBe(true)
    for (const { store } of [one, two, owner]) {
      expect(await textAt(store, key('gone'))).toBeUndefined()
      expect((await store.list('b/', { ...io, limit: 10 })).keys).toEqual([])
    }
    const cut = await serve(await afterPowerCut(root))
    expect(await textAt(cut.store, key('gone'))).toBeUndefined()
    await overwrite(one.store, key('gone'), record('3'))
    for (const { store } of [one, two, owner]) expect(await textAt(store, key('gone'))).toBe('{"n":"3"}')
    await until('it is a file', () => existsSync(join(root, key('gone'))))
    expect(await textAt(two.store, key('gone'))).toBe('{"n":"3"}')
  })

  it('is made no file until that is over', async () => {
    await overwrite(one.store, key('held'), record('1'))
    await overwrite(two.store, key('other'), record('1'))
    const etag = await etagAt(two.store, key('held'))
    const { unlink } = file
    vi.spyOn(file, 'unlink').mockImplementationOnce(async path => {
      await overwrite(two.store, key('held'), record('2'))
      await two.close()
      await until('what else it left is a file', () => existsSync(join(root, key('other'))))
      return unlink(path)
    })
    expect(await one.store.remove(key('held'), soon({ ifMatch: etag }))).toBe(true)
    expect(await textAt(one.store, key('held'))).toBe('{"n":"2"}')
    await until('the segments are empty', () => isEmpty(root))
    expect(await textAt(one.store, key('held'))).toBe('{"n":"2"}')
  })

  it('is not decided by what one process added when another one writes it meanwhile', async () => {
    await overwrite(one.store, key('race'), record('1'))
    await overwrite(two.store, key('other'), record('1'))
    const etag = await etagAt(two.store, key('race'))
    const { unlink } = file
    vi.spyOn(file, 'unlink').mockImplementationOnce(async path => {
      await overwrite(two.store, key('race'), record('2'))
      return unlink(path)
    })
    expect(await one.store.remove(key('race'), soon({ ifMatch: etag }))).toBe(true)
    for (const { store } of [one, two, owner]) expect(await textAt(store, key('race'))).toBe('{"n":"2"}')
    await until('the segments are empty', () => isEmpty(root))
    for (const { store } of [one, two, owner]) expect(await textAt(store, key('race'))).toBe('{"n":"2"}')
  })
})

/** Whether everything that was in the log is files. */
const isEmpty = (folder: string) =>
  segmentsIn(folder).every(name => readFileSync(join(folder, 'wal', name)).readUInt32LE(8) === 0)

describe('after a power cut', () => {
  it('has what was acknowledged, with or without its file', async () => {
    await overwrite(one.store, key('kept'), record('1'))
    const pending = await serve(await afterPowerCut(root))
    expect(await textAt(pending.store, key('kept'))).toBe('{"n":"1"}')
    // To decide about it makes a file of it, which nothing syncs yet.
    expect(await two.store.remove(key('kept'), soon({ ifMatch: 'other' }))).toBe(false)
    expect(existsSync(join(root, key('kept')))).toBe(true)
    const copy = await afterPowerCut(root, [key('kept')])
    const filed = await serve(copy)
    expect(await textAt(filed.store, key('kept'))).toBe('{"n":"1"}')
    await until('it is a file again', () => existsSync(join(copy, key('kept'))))
  })

  it('does not take what was torn for a record', async () => {
    await overwrite(one.store, key('whole'), record('1'))
    await overwrite(one.store, key('torn'), record('2'))
    const copy = await afterPowerCut(root)
    for (const name of segmentsIn(copy)) {
      const bytes = readFileSync(join(copy, 'wal', name))
      const at = bytes.indexOf('{"n":"2"}')
      if (at >= 0) writeFileSync(join(copy, 'wal', name), bytes.fill(0, at, at + 4))
    }
    const { store } = await serve(copy)
    expect(await textAt(store, key('whole'))).toBe('{"n":"1"}')
    expect(await textAt(store, key('torn'))).toBeUndefined()
  })

  it('leaves nothing in the log of who stops in an orderly way', async () => {
    await overwrite(one.store, key('stop'), record('1'))
    for (const each of [one, two, owner]) await each.close()
    expect(readdirSync(join(root, 'wal'))).toEqual(['board'])
    expect(readFileSync(join(root, key('stop'))).toString()).toBe('{"n":"1"}')
  })
})

it('acknowledges nothing before it is synced', async () => {
  await overwrite(one.store, key('first'), record('1'))
  const { fdatasync } = file
  let synced = false
  vi.spyOn(file, 'fdatasync').mockImplementation(async fd => {
    await new Promise(wake => setTimeout(wake, 20))
    await fdatasync(fd)
    synced = true
  })
  expect(await one.store.overwrite?.(key('second'), record('2'), soon())).toBe(true)
  expect(synced).toBe(true)
})

it('acknowledges nothing that the disk refused, and goes on with another segment', async () => {
  await overwrite(one.store, key('good'), record('1'))
  vi.spyOn(file, 'fdatasync').mockRejectedValueOnce(Object.assign(new Error('EIO'), { code: 'EIO' }))
  expect(await one.store.overwrite?.(key('bad'), record('2'), soon())).toBe(false)
  await overwrite(one.store, key('again'), record('3'))
  for (const word of ['good', 'again']) expect(await textAt(two.store, key(word))).toBeDefined()
})

it('acknowledges nothing that comes after its deadline', async () => {
  await overwrite(one.store, key('early'), record('1'))
  expect(await one.store.overwrite?.(key('late'), record('2'), { ...io, deadlineMs: Date.now() - 1 })).toBe(
    false,
  )
  expect(await textAt(two.store, key('late'))).toBeUndefined()
})

it('acknowledges nothing that was added to a segment after it was sealed', async () => {
  await overwrite(one.store, key('before'), record('1'))
  const { fdatasync } = file
  vi.spyOn(file, 'fdatasync').mockImplementationOnce(async fd => {
    await fdatasync(fd)
    for (const name of segmentsIn(root)) sealByHand(join(root, 'wal', name))
  })
  expect(await one.store.overwrite?.(key('after'), record('2'), soon())).toBe(false)
})

function sealByHand(path: string): void {
  const bytes = readFileSync(path)
  encodeWord(1).copy(bytes, sealPosition)
  writeFileSync(path, bytes)
}

it('makes files of what a process leaves that ends', async () => {
  await overwrite(one.store, key('left'), record('1'))
  await one.close()
  await until('it is a file', () => existsSync(join(root, key('left'))))
  await until('its segments are gone', () => segmentsIn(root).length === 0)
  expect(await textAt(two.store, key('left'))).toBe('{"n":"1"}')
})

it('reads on while files cannot be made, and makes them when they can', { timeout: 20_000 }, async () => {
  // A file where the folder should be.
  writeFileSync(join(root, 'b'), 'in the way')
  await overwrite(one.store, key('blocked'), record('1'))
  const inTheWay = () => two.store.remove(key('blocked'), soon({ ifMatch: 'other' }))
  await expect(inTheWay()).rejects.toThrow()
  await new Promise(wake => setTimeout(wake, 2_500))
  expect(await textAt(two.store, key('blocked'))).toBe('{"n":"1"}')
  rmSync(join(root, 'b'))
  await until('it is a file', () => existsSync(join(root, key('blocked'))))
  expect(await textAt(two.store, key('blocked'))).toBe('{"n":"1"}')
})

it('keeps for the next owner what could not be made a file', async () => {
  writeFileSync(join(root, 'b'), 'in the way')
  await overwrite(one.store, key('next'), record('1'))
  for (const each of [one, two, owner]) await each.close()
  expect(segmentsIn(root)).not.toEqual([])
  rmSync(join(root, 'b'))
  const next = await serve(root)
  expect(await textAt(next.store, key('next'))).toBe('{"n":"1"}')
  await until('it is a file', () => existsSync(join(root, key('next'))))
})

it('serves a command that outlives the owner and becomes it', async () => {
  const command = await opened(openFolder(root, 'command', { durability }))
  await overwrite(one.store, key('outlive'), record('1'))
  const etag = (await command.store.read(key('outlive'), io))?.etag ?? ''
  for (const each of [one, two, owner]) await each.close()
  expect(await command.store.write(key('outlive'), record('2'), soon({ ifMatch: etag }))).toBeDefined()
  expect(await textAt(command.store, key('outlive'))).toBe('{"n":"2"}')
})

it('keeps no descriptor', async () => {
  const path = await temporaryFolder()
  const cycle = async () => {
    const served = await openFolder(path, 'server', { durability })
    const joined = await joinFolder(path, { durability })
    await overwrite(joined.store, key('cycle'), record('1'))
    await served.store.read(key('cycle'), io)
    await joined.close()
    await served.close()
  }
  await cycle()
  const before = openDescriptors()
  for (let left = 5; left > 0; left--) await cycle()
  expect(openDescriptors()).toBeLessThanOrEqual(before)
})

it('takes nothing but links', async () => {
  const writing = one.store.overwrite?.('t/repository/latest', record('1'), soon())
  await expect(writing).rejects.toThrow('no key of the log')
})
