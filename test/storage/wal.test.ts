/** What stands in the write-ahead log, and what is decided about it. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { cached } from '../../storage/cached.ts'
import { file } from '../../storage/durable.ts'
import type { OpenStore } from '../../storage/open.ts'
import { pause, until } from '../helpers/until.ts'
import { io, soon } from '../helpers/waiting.ts'
import {
  afterPowerCut,
  copyOf,
  etagAt,
  family,
  isEmpty,
  key,
  overwrite,
  record,
  segmentsIn,
  serve,
  textAt,
} from '../helpers/wal.ts'

let root: string
let owner: OpenStore
let one: OpenStore
let two: OpenStore
beforeEach(async () => {
  ;({ root, owner, one, two } = await family())
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
    else await pause(5)
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
    for (const folder of [await copyOf(root), await afterPowerCut(root)])
      expect(await textAt((await serve(folder)).store, key('gone'))).toBeUndefined()
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

describe('of two who write one key', () => {
  // Which segment comes first must not matter.
  it.for([false, true])('the last counts, now and as a file (%s)', async isTurned => {
    const [first, second] = isTurned ? [two, one] : [one, two]
    await overwrite(one.store, key('place of one'), record('1'))
    await overwrite(two.store, key('place of two'), record('1'))
    await overwrite(first.store, key('both'), record('1'))
    await overwrite(second.store, key('both'), record('2'))
    for (const { store } of [one, two, owner]) expect(await textAt(store, key('both'))).toBe('{"n":"2"}')
    await first.close()
    await until('a segment is gone', () => segmentsIn(root).length === 1)
    expect(await textAt(owner.store, key('both'))).toBe('{"n":"2"}')
    await second.close()
    await until('both are', () => segmentsIn(root).length === 0)
    expect(await textAt(owner.store, key('both'))).toBe('{"n":"2"}')
  })

  it('both can be removed at once', async () => {
    await overwrite(one.store, key('twice'), record('1'))
    await overwrite(two.store, key('twice'), record('2'))
    const etag = await etagAt(one.store, key('twice'))
    expect(await two.store.remove(key('twice'), soon({ ifMatch: etag }))).toBe(true)
    for (const { store } of [one, two, owner]) expect(await textAt(store, key('twice'))).toBeUndefined()
  })
})

it('is in the way of who writes only what is absent', async () => {
  await overwrite(one.store, key('taken'), record('1'))
  expect(await two.store.write(key('taken'), record('2'), soon({ ifAbsent: true }))).toBeUndefined()
  expect(await textAt(two.store, key('taken'))).toBe('{"n":"1"}')
})

it('is decided about although the segment goes meanwhile', async () => {
  await overwrite(one.store, key('leaving'), record('1'))
  const etag = await etagAt(two.store, key('leaving'))
  const { fdatasync } = file
  vi.spyOn(file, 'fdatasync').mockImplementationOnce(async fd => {
    await one.close()
    await pause(200)
    return fdatasync(fd)
  })
  expect(await two.store.write(key('leaving'), record('2'), soon({ ifMatch: etag }))).toBeDefined()
  await until('the segment is gone', () => segmentsIn(root).length === 0)
  expect(await textAt(two.store, key('leaving'))).toBe('{"n":"2"}')
})
