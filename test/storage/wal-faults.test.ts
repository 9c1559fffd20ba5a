/** The write-ahead log when processes end, disks refuse and bytes change. */
import fs, { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { file } from '../../storage/durable.ts'
import { folderStore } from '../../storage/folder.ts'
import { joinFolder, type OpenStore, openFolder } from '../../storage/open.ts'
import { endPosition, sealPosition } from '../../storage/wal-format.ts'
import { walView } from '../../storage/wal-view.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { descriptorsOf, openDescriptors } from '../helpers/processes.ts'
import { pause, until } from '../helpers/until.ts'
import { io, soon } from '../helpers/waiting.ts'
import {
  afterPowerCut,
  beside,
  copyOf,
  durability,
  family,
  isEmpty,
  key,
  opened,
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
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

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
    await pause(20)
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
  // Nor is it there for who starts later, whatever the disk has kept.
  for (const folder of [await copyOf(root), await afterPowerCut(root)]) {
    const { store } = await serve(folder)
    expect(await textAt(store, key('before'))).toBeDefined()
    expect(await textAt(store, key('after'))).toBeUndefined()
  }
})

/** As its owner does: where the last frame ended then. */
function sealByHand(path: string): void {
  const bytes = readFileSync(path)
  bytes.copy(bytes, sealPosition, endPosition, endPosition + 4)
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
  await pause(2_500)
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

it('shows nothing that is not durable, and brings nothing back that never was', async () => {
  await overwrite(one.store, key('before'), record('1'))
  const hanging = Promise.withResolvers<void>()
  vi.spyOn(file, 'fdatasync').mockImplementationOnce(() => hanging.promise)
  const writing = one.store.overwrite?.(key('unsynced'), record('2'), soon())
  await pause(50)
  expect(await textAt(two.store, key('unsynced'))).toBeUndefined()
  const killed = await serve(await copyOf(root))
  expect(await textAt(killed.store, key('before'))).toBeDefined()
  expect(await textAt(killed.store, key('unsynced'))).toBeUndefined()
  hanging.resolve()
  expect(await writing).toBe(true)
  expect(await textAt(two.store, key('unsynced'))).toBeDefined()
})

describe('where the owner’s disk refuses something once', () => {
  it.for(['unlinkSync', 'writeSync', 'renameSync', 'openSync'] as const)('%s: does it again', async call => {
    await overwrite(one.store, key('once'), record('1'))
    const refused = Object.assign(new Error('EIO'), { code: 'EIO' })
    vi.spyOn(fs, call).mockImplementationOnce(() => {
      throw refused
    })
    await one.close()
    await until('the segment is gone', () => segmentsIn(root).length === 0)
    expect(fs.readFileSync(join(root, key('once'))).toString()).toBe('{"n":"1"}')
    expect(await textAt(two.store, key('once'))).toBe('{"n":"1"}')
  })

  it('fdatasync: does it again, and goes on with other segments', async () => {
    await overwrite(one.store, key('of one'), record('1'))
    await overwrite(two.store, key('of two'), record('1'))
    vi.spyOn(file, 'fdatasync').mockRejectedValueOnce(Object.assign(new Error('EIO'), { code: 'EIO' }))
    await until('all are files', () => isEmpty(root))
    for (const word of ['of one', 'of two']) expect(await textAt(owner.store, key(word))).toBe('{"n":"1"}')
  })

  it('syncfs: makes the files again, which it has lost', async () => {
    const programs = await temporaryFolder()
    const link = join(root, key('lost'))
    const failing = `#!/bin/sh\n/bin/rm "${link}" && echo 'sync: Input/output error' >&2 && exit 1\n`
    writeFileSync(join(programs, 'sync'), failing, { mode: 0o700 })
    vi.stubEnv('PATH', programs)
    await overwrite(one.store, key('lost'), record('1'))
    await until('it was lost', () => owner.logFault?.() !== undefined)
    writeFileSync(join(programs, 'sync'), '#!/bin/sh\n', { mode: 0o700 })
    await until('the segment is empty', () => isEmpty(root))
    expect(existsSync(link)).toBe(true)
    expect(await textAt(two.store, key('lost'))).toBe('{"n":"1"}')
    await until('nothing is wrong any more', () => owner.logFault?.() === undefined)
  })
})

it('is read by who was there before there was a log', async () => {
  const path = await temporaryFolder()
  await (await serve(path)).close()
  rmSync(join(path, 'wal'), { recursive: true, force: true })
  const early = folderStore(path, { durability, wal: { view: walView(path) } })
  const served = await serve(path)
  const joined = await beside(path)
  await overwrite(joined.store, key('early'), record('1'))
  expect(await textAt(early, key('early'))).toBe('{"n":"1"}')
  await early.close()
  await served.close()
})

it('keeps nothing open that nobody asks about', async () => {
  await overwrite(one.store, key('rest'), record('1'))
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const { store } = await beside(root)
  const isOpen = () => descriptorsOf(process.pid).includes(join(root, 'wal/board'))
  for (let times = 2; times > 0; times--) {
    expect(await textAt(store, key('rest'))).toBeDefined()
    expect(isOpen()).toBe(true)
    vi.advanceTimersByTime(20_000)
    expect(isOpen()).toBe(false)
  }
})
