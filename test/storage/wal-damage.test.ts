/** The write-ahead log when its bytes have changed, or are gone. */
import fs, { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, it } from 'vitest'
import type { OpenStore } from '../../storage/open.ts'
import { until } from '../helpers/until.ts'
import { io } from '../helpers/waiting.ts'
import { beside, copyOf, family, key, overwrite, record, segmentsIn, serve, textAt } from '../helpers/wal.ts'

let root: string
let owner: OpenStore
let one: OpenStore
let two: OpenStore
beforeEach(async () => {
  ;({ root, owner, one, two } = await family())
})

function spoil(name: string, of: string): void {
  const path = join(root, 'wal', name)
  const bytes = readFileSync(path)
  const at = bytes.indexOf(of)
  if (at < 0) return
  const fd = fs.openSync(path, 'r+')
  fs.writeSync(fd, Buffer.from('?'), 0, 1, at)
  fs.closeSync(fd)
}

it('says so of a record, and has all others', async () => {
  await overwrite(one.store, key('first'), record('first'))
  await overwrite(one.store, key('spoilt'), record('spoilt'))
  await overwrite(two.store, key('other'), record('other'))
  for (const name of segmentsIn(root)) spoil(name, '{"n":"spoilt"}')
  await expect(two.store.read(key('spoilt'), io)).rejects.toThrow('of the log is damaged at')
  for (const word of ['first', 'other']) expect(await textAt(two.store, key(word))).toBe(`{"n":"${word}"}`)
  await until('the other segment is files', () => existsSync(join(root, key('other'))))
  await until('it is told', () => String(owner.logFault?.()).includes('of the log is damaged at'))
  const copy = await copyOf(root)
  const next = await serve(copy)
  expect(String(next.logFault?.())).toMatch(/wal\/\d+ was damaged: .* kept as .*\.damaged/)
  expect(await textAt(next.store, key('first'))).toBe('{"n":"first"}')
  expect(await textAt(next.store, key('spoilt'))).toBeUndefined()
})

it.for([
  ['cut short', ''],
  ['foreign', 'x'.repeat(2000)],
] as const)('says so of a board that is %s', async ([, text]) => {
  await overwrite(one.store, key('board'), record('1'))
  writeFileSync(join(root, 'wal/board'), text)
  await expect(two.store.read(key('board'), io)).rejects.toThrow('wal/board is damaged')
  const next = await serve(await copyOf(root))
  expect(await textAt(next.store, key('board'))).toBe('{"n":"1"}')
})

it('says so of a segment that somebody has removed', async () => {
  await overwrite(one.store, key('removed'), record('1'))
  for (const name of segmentsIn(root)) rmSync(join(root, 'wal', name))
  await expect((await beside(root)).store.read(key('removed'), io)).rejects.toThrow('a segment is missing')
})

it('keeps a segment whose header it does not know, and says so', async () => {
  await overwrite(one.store, key('header'), record('1'))
  const copy = await copyOf(root)
  for (const name of segmentsIn(copy)) {
    const bytes = readFileSync(join(copy, 'wal', name))
    writeFileSync(join(copy, 'wal', name), bytes.fill('x', 0, 1))
  }
  const next = await serve(copy)
  expect(String(next.logFault?.())).toContain('was damaged')
  for (const name of segmentsIn(root))
    expect(readFileSync(join(copy, 'wal', `${name}.damaged`)).includes('{"n":"1"}')).toBe(true)
})
