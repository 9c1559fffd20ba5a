import { durableFolders } from './durable.ts'
import { folderRecords } from './folder-records.ts'
import type { StoredRecord } from './object-store.ts'

/** A record of a folder that is not opened: nothing is claimed, made or waited for. */
export function peek(root: string, key: string): Promise<StoredRecord | undefined> {
  return folderRecords(root, durableFolders(root, false), false).read(key)
}
