import { etagOf } from './folder-records.ts'
import { mayBeginLogged, mayBeLogged } from './layout.ts'
import type { Condition, ObjectStore } from './object-store.ts'
import type { WalView } from './wal-view.ts'
import type { WalWriter } from './wal-writer.ts'

export interface Wal {
  readonly view: WalView
  /** Who only reads has none. */
  readonly writer?: WalWriter | undefined
}

/** A folder's store with what is in the log and no file yet: that stands over any file of the same key. */
export function logged(store: ObjectStore, { view, writer }: Wal): ObjectStore {
  const { isCurrent } = store
  const pending = (key: string) => (mayBeLogged(key) ? view.find(key) : undefined)

  /** Only who decides about conditions knows both the log and the files. */
  function demandCondition(key: string, condition: Condition | undefined): void {
    if (mayBeLogged(key) && !condition) throw new TypeError(`${key} is changed under a condition only`)
  }

  return {
    ...store,

    async read(key, io) {
      const frame = pending(key)
      if (!frame) return store.read(key, io)
      return { bytes: frame.bytes, etag: etagOf(frame.bytes), modifiedMs: frame.writtenMs }
    },

    // The log first: what is made a file in between has another version.
    isCurrent: (key, version) => pending(key) === undefined && isCurrent?.(key, version) === true,

    async write(key, bytes, options) {
      const { condition } = options
      demandCondition(key, condition)
      if (condition && 'ifAbsent' in condition && pending(key)) return undefined
      return store.write(key, bytes, options)
    },

    async remove(key, options) {
      demandCondition(key, options.condition)
      return store.remove(key, options)
    },

    ...(writer && {
      overwrite: async (key, bytes, { deadlineMs }) => {
        if (!mayBeLogged(key)) throw new TypeError(`${key} is no key of the log`)
        return writer.write(key, bytes, deadlineMs)
      },
    }),

    async list(prefix, options) {
      if (!mayBeginLogged(prefix)) return store.list(prefix, options)
      // Looked at first: what becomes a file in between is in the page.
      const added = view.keys(prefix, options.after ?? '')
      const page = await store.list(prefix, options)
      const last = page.more ? page.keys.at(-1) : undefined
      const within = added.filter(key => last === undefined || key <= last)
      if (within.length === 0) return page
      const keys = [...new Set([...page.keys, ...within])].sort()
      return { keys: keys.slice(0, options.limit), more: page.more || keys.length > options.limit }
    },

    async close() {
      writer?.close()
      view.close()
      await store.close()
    },
  }
}
