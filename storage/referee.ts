import type { FolderRecords } from './folder-records.ts'
import type { Written } from './object-store.ts'

/** Decides between processes that share a folder: conditions on records, and who may write to an upload. */
export interface Referee {
  /** Replaces a record that still has this etag. */
  replaceIf(key: string, bytes: Uint8Array, etag: string, deadlineMs: number): Promise<Written>
  /** Removes a record that still has this etag, or is gone already; false otherwise. */
  removeIf(key: string, etag: string, deadlineMs: number): Promise<boolean>
  /** Undefined: somebody holds it. It is given back by calling what is returned, or by the end of the process. */
  lock(name: string): Promise<(() => Promise<void>) | undefined>
  close(): Promise<void>
}

export interface LocalReferee extends Referee {
  /** Whether somebody decides about a key now. */
  isDeciding(key: string): boolean
}

/** The referee itself: one decision at a time for each key. `over` is told of each that has ended. */
export function localReferee(records: FolderRecords, over?: (key: string) => void): LocalReferee {
  const queues = new Map<string, Promise<unknown>>()
  const locked = new Set<string>()

  async function inTurn<T>(key: string, act: () => Promise<T>): Promise<T> {
    const turn = (queues.get(key) ?? Promise.resolve()).then(act, act)
    queues.set(key, turn)
    try {
      return await turn
    } finally {
      over?.(key)
      if (queues.get(key) === turn) queues.delete(key)
    }
  }

  return {
    replaceIf: (key, bytes, etag, deadlineMs) =>
      inTurn(key, async () => {
        if ((await records.read(key))?.etag !== etag) return undefined
        return records.replace(key, bytes, deadlineMs)
      }),

    removeIf: (key, etag, deadlineMs) =>
      inTurn(key, async () => {
        const found = await records.read(key)
        if (found && found.etag !== etag) return false
        await records.remove(key, deadlineMs)
        return true
      }),

    async lock(name) {
      if (locked.has(name)) return undefined
      locked.add(name)
      let held = true
      return async () => {
        // Given back twice, it must not be taken from whoever holds it by then.
        if (held) locked.delete(name)
        held = false
      }
    },

    isDeciding: key => queues.has(key),

    async close() {},
  }
}
