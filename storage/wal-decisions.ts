import { dirname, join } from 'node:path'
import { type Folders, file } from './durable.ts'
import type { FolderRecords } from './folder-records.ts'
import { mayBeLogged } from './layout.ts'
import type { Filed, WalFiling } from './wal-filing.ts'

export interface DecidedRecords {
  /** What the log holds for a key is its file, as soon as it is read; what is decided then is not undone by the log. */
  readonly records: FolderRecords
  /** A decision about this key has ended, whatever came of it. */
  over(key: string): void
}

export interface DecisionOptions {
  /** Undefined: the folder is not owned. */
  filing(): WalFiling | undefined
  readonly synced: boolean
  readonly root: string
  readonly folders: Folders
}

/** Records as they must be for who decides about conditions. */
export function decidedRecords(records: FolderRecords, options: DecisionOptions): DecidedRecords {
  const { filing, synced, root, folders } = options
  /** By key, what stood in the log when the decision began; what is added meanwhile comes after it. */
  const deciding = new Map<string, Filed>()

  async function makeDurable(key: string): Promise<void> {
    if (!synced) return
    const path = join(root, key)
    await folders.ensure(dirname(path))
    const fd = await file.open(path, 'r', 0)
    try {
      await file.fsync(fd)
    } finally {
      await file.close(fd)
    }
    await folders.sync(dirname(path))
  }

  async function decide<T>(key: string, act: () => Promise<T>): Promise<T> {
    if (!mayBeLogged(key)) return act()
    const filed = deciding.get(key)
    // Files must say it before the log does not any more, and the log must not say it again once it is answered.
    if (filed) {
      await makeDurable(key)
      filing()?.leave(filed)
    }
    const result = await act()
    await filing()?.sync()
    return result
  }

  return {
    records: {
      ...records,
      async read(key) {
        const filed = mayBeLogged(key) ? (filing()?.fileNow(key) ?? []) : []
        if (filed.length > 0) deciding.set(key, filed)
        return records.read(key)
      },
      replace: (key, ...args) => decide(key, () => records.replace(key, ...args)),
      remove: (key, ...args) => decide(key, () => records.remove(key, ...args)),
    },
    over: key => void deciding.delete(key),
  }
}
