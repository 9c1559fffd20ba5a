/** What a folder is to this program. */
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import { join } from 'node:path'
import { codeOf } from '../oci/errors.ts'
import { file, ifThere } from './durable.ts'
import type { FolderRecords } from './folder-records.ts'
import { type Format, isNewer, newFormat, parseFormat } from './format.ts'
import { freeBytes } from './free-space.ts'
import { formatKey } from './layout.ts'
import { connectToOwner } from './owner.ts'
import { ownerClient } from './owner-client.ts'
import { walFolder } from './wal-format.ts'

export interface FolderReport {
  readonly path: string
  readonly state: 'absent' | 'empty' | 'registry' | 'foreign' | 'newer'
  /** The process that owns the folder now. */
  readonly ownerPid?: number
  readonly writable: boolean
  /** Bytes that may still be written before the reserve is touched. */
  readonly freeBytes: number
  /** Why the folder cannot be served, and what to do. */
  readonly reason?: string
}

/** Writes the format of a folder that holds nothing yet. Two that do so at once agree on one. */
export async function writeFormat(records: FolderRecords): Promise<void> {
  await records.create(
    formatKey,
    Buffer.from(JSON.stringify(newFormat(randomUUID()))),
    Number.POSITIVE_INFINITY,
  )
}

/** Throws with the remedy where the format cannot be read. */
export async function readFormat(root: string, records: FolderRecords): Promise<Format> {
  const format = parseFormat((await records.read(formatKey))?.bytes ?? Buffer.alloc(0))
  if (!format) throw new Error(`${join(root, formatKey)} cannot be read: restore it from a backup`)
  return format
}

async function ownerOf(root: string): Promise<number | undefined> {
  const folder = await file.open(root, 'r', 0)
  try {
    const socket = await connectToOwner(folder)
    if (!socket) return undefined
    const client = ownerClient(socket)
    try {
      const owner = await client.hello().catch(() => undefined)
      return owner?.pid
    } finally {
      await client.close()
    }
  } finally {
    await file.close(folder)
  }
}

function isWritable(path: string): boolean {
  try {
    fs.accessSync(path, fs.constants.W_OK | fs.constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** What a folder is to this program. Changes nothing. */
export async function inspectFolder(path: string): Promise<FolderReport> {
  const names = await ifThere(file.readdir(path)).catch(error => {
    const code = codeOf(error)
    const remedy = code === 'EACCES' ? 'run this as the user that owns it, or name' : 'name'
    throw new Error(`data folder ${path} cannot be read (${code}): ${remedy} another with --data`)
  })
  if (!names) {
    let parent = join(path, '..')
    while (!fs.existsSync(parent)) parent = join(parent, '..')
    return { path, state: 'absent', writable: isWritable(parent), freeBytes: await freeBytes(parent) }
  }
  const common = { path, writable: isWritable(path), freeBytes: await freeBytes(path) }
  const bytes = await ifThere(fs.promises.readFile(join(path, formatKey)))
  if (!bytes) {
    const ours = new Set(['tmp', walFolder, 'lost+found'])
    const foreign = names.find(entry => !ours.has(entry.name) && !entry.name.startsWith('owner.'))
    if (!foreign) return { ...common, state: 'empty' }
    const reason = `data folder ${path} holds other files (${foreign.name}): name an empty folder with --data`
    return { ...common, state: 'foreign', reason }
  }
  const format = parseFormat(bytes)
  if (!format) {
    const reason = `${join(path, formatKey)} is damaged: restore it from a backup`
    return { ...common, state: 'foreign', reason }
  }
  if (isNewer(format)) {
    const reason = `data folder ${path} was written by a newer slipway (format ${format.min_reader}): update slipway`
    return { ...common, state: 'newer', reason }
  }
  const ownerPid = await ownerOf(path)
  return { ...common, state: 'registry', ...(ownerPid !== undefined && { ownerPid }) }
}
