import fs from 'node:fs'
import { join } from 'node:path'
import { RegistryError } from '../oci/errors.ts'
import { durableFolders } from './durable.ts'
import { folderListing } from './folder-listing.ts'
import { folderRecords, hole } from './folder-records.ts'
import { folderFault, folderUploads } from './folder-uploads.ts'
import { freeBytes, spaceIn, statfs } from './free-space.ts'
import { logged, type Wal } from './logged.ts'
import type { ObjectStore } from './object-store.ts'
import { localReferee, type Referee } from './referee.ts'

export interface FolderOptions {
  /** `relaxed`: records are not synced, so that a power cut may take the last seconds' tags and links. */
  readonly durability: 'full' | 'relaxed'
  /** Who decides between processes; without one, this process is taken to be alone. */
  readonly referee?: Referee
  /** Where there is one. */
  readonly wal?: Wal
}

/**
 * The adapter for a folder: a key is a path below it. Names become visible by rename(2) or link(2) of a file that is
 * complete, so a reader sees a record whole or not at all; what was acknowledged survives a power cut.
 */
export function folderStore(root: string, options: FolderOptions): ObjectStore {
  const synced = options.durability === 'full'
  const recordFolders = durableFolders(root, synced)
  const records = folderRecords(root, recordFolders, synced)
  const referee = options.referee ?? localReferee(records)
  const list = folderListing(root)
  // Content is synced always: a record can be written again from memory, a layer cannot.
  const contentFolders = durableFolders(root, true)
  const uploads = folderUploads(root, contentFolders, referee)

  const store: ObjectStore = {
    async read(key) {
      const record = await records.read(key)
      return record?.etag === hole ? undefined : record
    },
    isCurrent: records.isCurrent,

    async write(key, bytes, { condition, deadlineMs }) {
      if (!condition) return records.replace(key, bytes, deadlineMs)
      if ('ifAbsent' in condition) {
        const created = await records.create(key, bytes, deadlineMs)
        if (created || (await records.read(key))?.etag !== hole) return created
        return referee.replaceIf(key, bytes, hole, deadlineMs)
      }
      return referee.replaceIf(key, bytes, condition.ifMatch, deadlineMs)
    },

    async remove(key, { condition, deadlineMs }) {
      if (condition && 'ifAbsent' in condition) throw new TypeError('nothing can be removed if it is absent')
      if (condition) return referee.removeIf(key, condition.ifMatch, deadlineMs)
      await records.remove(key, deadlineMs)
      return true
    },

    list,
    ...uploads,

    reserve: spaceIn(root),

    async check() {
      await statfs(join(root, 'format.json'))
      fs.accessSync(root, fs.constants.W_OK)
      if ((await freeBytes(root)) < 0) throw new RegistryError('STORAGE_FULL')
    },

    async close() {
      recordFolders.close()
      contentFolders.close()
      await referee.close()
      records.close()
    },
  }
  return translated(options.wal ? logged(store, options.wal) : store)
}

/** Methods that answer at once and cannot fail for want of a file. */
const withoutWaiting = new Set(['isCurrent', 'begin'])

/** The same store, with the file system's errors said in the registry's words. */
function translated(store: ObjectStore): ObjectStore {
  const entries = Object.entries(store).map(([name, method]) => {
    if (typeof method !== 'function' || withoutWaiting.has(name)) return [name, method]
    const wrapped = async (...args: unknown[]) => {
      try {
        return await method(...args)
      } catch (error) {
        throw folderFault(error)
      }
    }
    return [name, wrapped]
  })
  return Object.fromEntries(entries) as ObjectStore
}
