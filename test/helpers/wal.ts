/** Folders with a write-ahead log, several processes at each: every store is another connection to the owner. */
import { closeSync, cpSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { ObjectStore } from '../../storage/object-store.ts'
import { joinFolder, type OpenStore, openFolder } from '../../storage/open.ts'
import { bootPosition, encodeWord, endPosition, headerBytes, sealPosition } from '../../storage/wal-format.ts'
import { temporaryFolder } from './folder.ts'
import { until } from './until.ts'
import { io, soon } from './waiting.ts'

export const durability = 'full'
export const key = (word: string) => `b/sha256/abc/abc${word}.r.repository`
export const record = (word: string) => Buffer.from(`{"n":"${word}"}`)

export async function opened(opening: Promise<OpenStore>): Promise<OpenStore> {
  const { close, ...rest } = await opening
  let closing: Promise<void> | undefined
  const once = () => (closing ??= close())
  onTestFinished(once)
  return { ...rest, close: once }
}
export const serve = (root: string) => opened(openFolder(root, 'server', { durability }))
export const beside = (root: string) => opened(joinFolder(root, { durability }))

/** An owner, and two processes beside it. */
export async function family(): Promise<{ root: string; owner: OpenStore; one: OpenStore; two: OpenStore }> {
  const root = await temporaryFolder()
  const owner = await serve(root)
  return { root, owner, one: await beside(root), two: await beside(root) }
}

/** Until a store has a segment of its own. */
export async function overwrite(store: ObjectStore, at: string, bytes: Buffer): Promise<void> {
  await until('there is room in the log', async () => (await store.overwrite?.(at, bytes, soon())) === true)
}

export const textAt = async (store: ObjectStore, at: string) => (await store.read(at, io))?.bytes.toString()
export const etagAt = async (store: ObjectStore, at: string) => (await store.read(at, io))?.etag ?? ''

export const segmentsIn = (root: string) => readdirSync(join(root, 'wal')).filter(name => /^\d+$/.test(name))

/** Whether everything that was in the log is files. */
export const isEmpty = (root: string) =>
  segmentsIn(root).every(name => readFileSync(join(root, 'wal', name)).readUInt32LE(8) === 0)

/** What a server finds that starts after this one was killed. */
export async function copyOf(root: string): Promise<string> {
  const copy = join(await temporaryFolder(), 'data')
  cpSync(root, copy, { recursive: true, filter: path => !path.includes('owner.') })
  return copy
}

/** What it finds after a power cut: without files that were not synced, and what headers say is as old as they are. */
export async function afterPowerCut(root: string, lost: readonly string[] = []): Promise<string> {
  const copy = await copyOf(root)
  for (const each of lost) rmSync(join(copy, each), { force: true })
  for (const name of segmentsIn(copy)) {
    const fd = openSync(join(copy, 'wal', name), 'r+')
    writeSync(fd, encodeWord(headerBytes), 0, 4, endPosition)
    writeSync(fd, Buffer.alloc(4), 0, 4, sealPosition)
    writeSync(fd, Buffer.alloc(16, 'another boot'), 0, 16, bootPosition)
    closeSync(fd)
  }
  return copy
}
