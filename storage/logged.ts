import { etagOf } from './folder-records.ts'
import { mayBeginLogged, mayBeLogged } from './layout.ts'
import type { ObjectStore } from './object-store.ts'
import { marks } from './wal-format.ts'
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

  function pending(key: string) {
    for (const segment of view.look()) {
      if (!segment.spots.has(key)) continue
      const frame = view.read(segment, key)
      if (frame?.mark === marks.pending) return frame
    }
    return undefined
  }

  const pendingBelow = (prefix: string, after: string) =>
    view
      .look()
      .flatMap(({ spots }) => [...spots.keys()])
      .filter(key => key.startsWith(prefix) && key > after && pending(key))

  return {
    ...store,

    async read(key, io) {
      const frame = mayBeLogged(key) ? pending(key) : undefined
      if (!frame) return store.read(key, io)
      return { bytes: frame.bytes, etag: etagOf(frame.bytes), modifiedMs: frame.writtenMs }
    },

    isCurrent: (key, version) =>
      isCurrent?.(key, version) === true && !(mayBeLogged(key) && pending(key) !== undefined),

    ...(writer && {
      overwrite: (key, bytes, { deadlineMs }) => {
        if (!mayBeLogged(key)) throw new TypeError(`${key} is no key of the log`)
        return writer.write(key, bytes, deadlineMs)
      },
    }),

    async list(prefix, options) {
      if (!mayBeginLogged(prefix)) return store.list(prefix, options)
      // Looked at first: what becomes a file in between is in the page.
      const added = pendingBelow(prefix, options.after ?? '')
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
