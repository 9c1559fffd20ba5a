import { join } from 'node:path'
import { LRUCache } from 'lru-cache'
import { file, ifThere } from './durable.ts'
import type { KeyPage, ListOptions } from './object-store.ts'

interface Names {
  readonly version: string
  /** In byte order; a folder's ends with "/", so that names sort as the keys below them do. */
  readonly sorted: readonly string[]
}

/** Names of so many entries are kept, over all folders. */
const keptNames = 500_000
/** A folder that changed so shortly before it was read may have changed again within the same tick of the clock. */
const doubtMs = 20

/** What lies in a folder beside keys: uploads, records being written, the log, the owner's sockets. */
const isKey = (name: string) => !/^(?:u\/|tmp\/|wal\/|lost\+found\/|owner\.)/.test(name)

const byBytes = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

/** The index of the first of `sorted` that satisfies a condition which, once true, stays true. */
function firstWhere(sorted: readonly string[], condition: (name: string) => boolean): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (condition(sorted[middle] ?? '')) high = middle
    else low = middle + 1
  }
  return low
}

/** Pages of keys out of a tree of files. A folder is read when it has changed, not for every page. */
export function folderListing(root: string): (prefix: string, options: ListOptions) => Promise<KeyPage> {
  const cache = new LRUCache<string, Names>({
    maxSize: keptNames,
    sizeCalculation: names => names.sorted.length + 1,
  })

  /** Many may ask for a large folder at once: it is read for all of them together. */
  const reading = new Map<string, { readonly version: string; readonly names: Promise<readonly string[]> }>()

  async function namesIn(folder: string): Promise<readonly string[]> {
    const path = join(root, folder)
    const lookedAt = Date.now()
    const stat = await ifThere(file.stat(path))
    if (!stat) return []
    const version = `${stat.ino}:${stat.mtimeMs}`
    const known = cache.get(folder)
    if (known?.version === version) return known.sorted
    // By the clock before the look: what changes while the folder is read must give it another time.
    if (lookedAt - stat.mtimeMs <= doubtMs) return readNames(folder)
    const running = reading.get(folder)
    if (running?.version === version) return running.names
    const names = readNames(folder)
    reading.set(folder, { version, names })
    try {
      const sorted = await names
      cache.set(folder, { version, sorted })
      return sorted
    } finally {
      if (reading.get(folder)?.names === names) reading.delete(folder)
    }
  }

  async function readNames(folder: string): Promise<readonly string[]> {
    const entries = (await ifThere(file.readdir(join(root, folder)))) ?? []
    const names = entries.map(entry => (entry.isDirectory() ? `${entry.name}/` : entry.name))
    return (folder === '' ? names.filter(isKey) : names).sort(byBytes)
  }

  return async (prefix, { after = '', limit, signal }) => {
    const keys: string[] = []

    /** Adds the keys below a folder, in byte order; true when there is one more than may be. */
    async function gather(folder: string): Promise<boolean> {
      const names = await namesIn(folder)
      signal.throwIfAborted()
      const wanted = (name: string) => {
        const key = folder + name
        return key >= prefix && (key > after || (key.endsWith('/') && after.startsWith(key)))
      }
      for (let at = firstWhere(names, wanted); at < names.length; at++) {
        const key = folder + (names[at] ?? '')
        if (!key.startsWith(prefix)) return false
        if (key.endsWith('/')) {
          if (await gather(key)) return true
        } else if (keys.length < limit) keys.push(key)
        else return true
      }
      return false
    }

    const more = await gather(prefix.slice(0, prefix.lastIndexOf('/') + 1))
    return { keys, more }
  }
}
