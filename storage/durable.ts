import fs from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { codeOf } from '../oci/errors.ts'

/** The callback file system, promised by hand: on hot paths fs.promises costs four times the CPU. */
export const file = {
  open: promisify(fs.open),
  close: promisify(fs.close),
  fstat: promisify<number, fs.Stats>(fs.fstat),
  fdatasync: promisify(fs.fdatasync),
  fsync: promisify(fs.fsync),
  link: promisify(fs.link),
  mkdir: promisify<string, number, void>((path, mode, done) => fs.mkdir(path, mode, done)),
  readdir: promisify<string, fs.Dirent[]>((path, done) => fs.readdir(path, { withFileTypes: true }, done)),
  read: promisify<number, Buffer, number, number, number, number>((fd, into, at, length, position, done) =>
    fs.read(fd, into, at, length, position, done),
  ),
  rename: promisify(fs.rename),
  stat: promisify<string, fs.Stats>((path, done) => fs.stat(path, done)),
  unlink: promisify(fs.unlink),
  write: promisify<number, Buffer, number, number, number, number>((fd, from, at, length, position, done) =>
    fs.write(fd, from, at, length, position, done),
  ),
}

/** Exactly the first `size` bytes of an open file. */
export async function readStart(fd: number, size: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(size)
  for (let at = 0; at < size; ) {
    const got = await file.read(fd, buffer, at, size - at, at)
    if (got === 0) throw new Error('a file became shorter while it was read')
    at += got
  }
  return buffer
}

/** Resolves to undefined where the promise fails because there is no such file. */
export async function ifThere<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** As `ifThere`, of what does not wait. */
export function ifThereSync<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

export interface Folders {
  /** Makes a folder and its parents; durable when it resolves. */
  ensure(path: string): Promise<void>
  /** Makes the names in a folder durable. Callers that wait at the same time share one fsync. */
  sync(path: string): Promise<void>
  close(): void
}

/** So many folders are remembered to be durable; one that is forgotten costs a mkdir and an fsync more. */
const rememberedFolders = 100_000

/** So many folders are kept open: opening one costs as much as syncing it. */
const openFolders = 256

/**
 * Folders whose names survive a power cut. A rename or link is durable only once its folder is synced, and a new
 * folder only once its parent is; also one that another process made, which may not have got to its fsync yet.
 */
export function durableFolders(root: string, synced: boolean): Folders {
  const durable = new Set<string>([root])
  /** Descriptors of folders that were synced lately, the longest ago first; one that is being synced is not here. */
  const open = new Map<string, number>()
  const running = new Map<string, { current: Promise<void>; next?: Promise<void> | undefined }>()

  async function syncOnce(path: string): Promise<void> {
    // A name has just been made in it, so the kernel has it at hand.
    const fd = open.get(path) ?? fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
    open.delete(path)
    try {
      await file.fsync(fd)
    } catch (error) {
      fs.closeSync(fd)
      throw error
    }
    open.set(path, fd)
    if (open.size > openFolders) closeOldest()
  }

  function closeOldest(): void {
    for (const [path, fd] of open) {
      open.delete(path)
      fs.closeSync(fd)
      return
    }
  }

  /** An fsync that started before a rename may not cover it, so a latecomer waits for the one after. */
  function sync(path: string): Promise<void> {
    if (!synced) return Promise.resolve()
    const entry = running.get(path)
    if (!entry) {
      const current = syncOnce(path).finally(() => {
        const finished = running.get(path)
        if (finished?.next === undefined) running.delete(path)
      })
      running.set(path, { current })
      return current
    }
    entry.next ??= entry.current
      .catch(() => {})
      .then(() => {
        running.delete(path)
        return sync(path)
      })
    return entry.next
  }

  async function make(path: string): Promise<void> {
    try {
      await file.mkdir(path, 0o700)
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    }
  }

  async function ensure(path: string): Promise<void> {
    if (durable.has(path)) return
    try {
      await make(path)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
      await ensure(dirname(path))
      await make(path)
    }
    await sync(dirname(path))
    if (durable.size >= rememberedFolders) durable.clear()
    durable.add(root).add(path)
  }

  function close(): void {
    for (const fd of open.values()) fs.closeSync(fd)
    open.clear()
  }

  return { ensure, sync, close }
}
