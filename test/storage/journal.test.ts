import { expect, it } from 'vitest'
import { type Journal, journal } from '../../storage/journal.ts'
import { memoryStore } from '../../storage/memory.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { openFolder } from '../../storage/open.ts'
import { ownedFolder, temporaryFolder } from '../helpers/folder.ts'
import { io } from '../helpers/waiting.ts'

const textsOf = async (lines: Journal) => (await Array.fromAsync(lines.lines(io))).map(({ text }) => text)

/** Each line is one more than the last: one that is lost, repeated or out of order shows. */
const next = (last: string | undefined) => [String(Number(last ?? 0) + 1)]
const upTo = (count: number) => Array.from({ length: count }, (_, index) => String(index + 1))

const backends: readonly [name: string, open: () => Promise<ObjectStore>][] = [
  ['in memory', async () => memoryStore()],
  ['in a folder', async () => (await ownedFolder()).store],
]

it.for(backends)('gives lines back in their order, %s', async ([, open]) => {
  const store = await open()
  const lines = journal(store)
  expect(await textsOf(lines)).toEqual([])
  await lines.append(() => ['a', 'b'], io)
  await lines.append(last => [`after ${last}`], io)
  expect(await Array.fromAsync(journal(store).lines(io))).toEqual([
    { text: 'a', place: 'audit/0000000001:1' },
    { text: 'b', place: 'audit/0000000001:2' },
    { text: 'after b', place: 'audit/0000000001:3' },
  ])
})

it('begins another segment when one is full, and knows the last line there', async () => {
  const store = memoryStore()
  const long = 'x'.repeat(50_000)
  for (let count = 0; count < 7; count++)
    // Each time as a process that has just begun.
    await journal(store).append(last => [`${Number(last?.split(' ')[0] ?? 0) + 1} ${long}`], io)
  const lines = await Array.fromAsync(journal(store).lines(io))
  expect(lines.map(({ text }) => Number(text.split(' ')[0]))).toEqual([1, 2, 3, 4, 5, 6, 7])
  const segments = lines.map(({ place }) => Number(place.slice('audit/'.length, -2)))
  expect(segments).toEqual([1, 1, 1, 2, 2, 2, 3])
})

it('never writes a full segment again', async () => {
  const store = memoryStore()
  await journal(store).append(() => ['x'.repeat(200_000)], io)
  const before = await store.read('audit/0000000001', io)
  await journal(store).append(() => ['after it'], io)
  expect(await store.read('audit/0000000001', io)).toEqual(before)
  expect(String((await store.read('audit/0000000002', io))?.bytes)).toBe('after it\n')
})

it.for(backends)('loses no line of many that append at once, %s', async ([, open]) => {
  const store = await open()
  const writers = Array.from({ length: 8 }, () => journal(store))
  await Promise.all(writers.flatMap(each => [each.append(next, io), each.append(next, io)]))
  expect(await textsOf(journal(store))).toEqual(upTo(16))
})

it('loses no line where segments end while many append', async () => {
  const store = memoryStore()
  const long = 'x'.repeat(20_000)
  const numbered = (last: string | undefined) => [`${Number(last?.split(' ')[0] ?? 0) + 1} ${long}`]
  const writers = Array.from({ length: 6 }, () => journal(store))
  await Promise.all(writers.flatMap(each => Array.from({ length: 5 }, () => each.append(numbered, io))))
  const lines = await textsOf(journal(store))
  expect(lines.map(text => text.split(' ')[0])).toEqual(upTo(30))
})

it('is shared by processes that open the folder as commands', async () => {
  const root = await temporaryFolder()
  const opened = await Promise.all(
    Array.from({ length: 4 }, () => openFolder(root, 'command', { durability: 'relaxed' })),
  )
  await Promise.all(
    opened.map(async ({ store, close }) => {
      for (let count = 0; count < 5; count++) await journal(store).append(next, io)
      await close()
    }),
  )
  const { store, close } = await openFolder(root, 'command', { durability: 'relaxed' })
  expect(await textsOf(journal(store))).toEqual(upTo(20))
  await close()
})

it('passes over what somebody else has put there', async () => {
  const store = memoryStore()
  await journal(store).append(next, io)
  await store.write('audit/notes.txt', Buffer.from('mine'), { ...io, deadlineMs: Date.now() + 10_000 })
  await journal(store).append(next, io)
  expect(await textsOf(journal(store))).toEqual(['1', '2'])
})
