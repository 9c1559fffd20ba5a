/** What was decided about links of the log stays decided, whatever fails, and whatever a power cut takes. */
import fs, { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { file } from '../../storage/durable.ts'
import type { OpenStore } from '../../storage/open.ts'
import { generationPosition } from '../../storage/wal-format.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { until } from '../helpers/until.ts'
import { io, soon } from '../helpers/waiting.ts'
import {
  afterPowerCut,
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
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

const refused = Object.assign(new Error('EIO'), { code: 'EIO' })

it('also while its segment is being emptied', async () => {
  await overwrite(one.store, key('emptied'), record('1'))
  const etag = await etagAt(two.store, key('emptied'))
  const [name = ''] = segmentsIn(root)
  const headerBefore = readFileSync(join(root, 'wal', name)).subarray(0, generationPosition + 4)
  const cut = Promise.withResolvers<string>()
  const { fdatasync } = file
  vi.spyOn(file, 'fdatasync').mockImplementationOnce(async fd => {
    expect(isEmpty(root)).toBe(true)
    expect(await two.store.remove(key('emptied'), soon({ ifMatch: etag }))).toBe(true)
    // What is being synced may be lost as well.
    const folder = await afterPowerCut(root)
    const bytes = readFileSync(join(folder, 'wal', name))
    headerBefore.copy(bytes)
    writeFileSync(join(folder, 'wal', name), bytes)
    cut.resolve(folder)
    return fdatasync(fd)
  })
  await one.close()
  const { store } = await serve(await cut.promise)
  expect(await textAt(store, key('emptied'))).toBeUndefined()
})

it('also when it failed at first', async () => {
  await overwrite(one.store, key('again'), record('1'))
  const etag = await etagAt(two.store, key('again'))
  vi.spyOn(file, 'unlink').mockRejectedValueOnce(refused)
  await expect(two.store.remove(key('again'), soon({ ifMatch: etag }))).rejects.toThrow()
  expect(await textAt(two.store, key('again'))).toBe('{"n":"1"}')
  const syncs = vi.spyOn(file, 'fdatasync')
  expect(await two.store.remove(key('again'), soon({ ifMatch: etag }))).toBe(true)
  // The marks of the first are not durable by themselves.
  expect(syncs).toHaveBeenCalled()
})

it('also by the owner after the one that was killed in the middle of it', async () => {
  await overwrite(one.store, key('killed'), record('1'))
  const etag = await etagAt(two.store, key('killed'))
  vi.spyOn(file, 'unlink').mockRejectedValueOnce(refused)
  await expect(two.store.remove(key('killed'), soon({ ifMatch: etag }))).rejects.toThrow()
  const copy = await afterPowerCut(root)
  const syncs = vi.spyOn(file, 'fdatasync')
  const next = await serve(copy)
  expect(await textAt(next.store, key('killed'))).toBe('{"n":"1"}')
  expect(await next.store.remove(key('killed'), soon({ ifMatch: etag }))).toBe(true)
  // Its marks, or that the segment is empty.
  expect(syncs).toHaveBeenCalled()
})

it('loses nothing of two segments when files of one were lost', async () => {
  const programs = await temporaryFolder()
  const link = join(root, key('both'))
  const failing = `#!/bin/sh\n/bin/rm "${link}" && echo 'sync: Input/output error' >&2 && exit 1\n`
  writeFileSync(join(programs, 'sync'), failing, { mode: 0o700 })
  vi.stubEnv('PATH', programs)
  await overwrite(one.store, key('both'), record('1'))
  await overwrite(two.store, key('both'), record('2'))
  await one.close()
  await until('it was lost', () => owner.logFault?.() !== undefined)
  writeFileSync(join(programs, 'sync'), '#!/bin/sh\n', { mode: 0o700 })
  await until('all is files', () => isEmpty(root))
  expect(readFileSync(link).toString()).toBe('{"n":"2"}')
})

it('goes on with another segment when one cannot be closed', async () => {
  await overwrite(one.store, key('first'), record('1'))
  vi.spyOn(file, 'fdatasync').mockRejectedValueOnce(refused)
  const { closeSync } = fs
  vi.spyOn(fs, 'closeSync').mockImplementationOnce(fd => {
    closeSync(fd)
    throw refused
  })
  expect(await one.store.overwrite?.(key('second'), record('2'), soon())).toBe(false)
  await overwrite(one.store, key('third'), record('3'))
  expect(await textAt(two.store, key('third'))).toBe('{"n":"3"}')
})

it('demands a condition of whoever changes a link otherwise', async () => {
  await expect(two.store.write(key('any'), record('1'), soon())).rejects.toThrow('under a condition only')
  await expect(two.store.remove(key('any'), soon())).rejects.toThrow('under a condition only')
})

it('makes nothing of a log before there is something in it', async () => {
  const path = await temporaryFolder()
  const { store } = await serve(path)
  expect(await store.read(key('none'), io)).toBeUndefined()
  expect(existsSync(join(path, 'wal'))).toBe(false)
})
