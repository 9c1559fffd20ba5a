import { hash } from 'node:crypto'
import fs from 'node:fs'
import { dirname, join } from 'node:path'
import { codeOf, RegistryError } from '../oci/errors.ts'
import { nonce } from '../oci/nonce.ts'
import { type Folders, file, ifThere, readStart } from './durable.ts'
import type { StoredRecord, Written } from './object-store.ts'

/** Records as files. No condition that needs a referee is decided here: see owner.ts. */
export interface FolderRecords {
  /** Also of a record that a power cut left empty: see `hole`. */
  read(key: string): Promise<StoredRecord | undefined>
  isCurrent(key: string, version: string): boolean
  /** Replaces whatever is there. */
  replace(key: string, bytes: Uint8Array, deadlineMs: number): Promise<NonNullable<Written>>
  /** Atomic between all processes. Undefined: the key was taken. */
  create(key: string, bytes: Uint8Array, deadlineMs: number): Promise<Written>
  remove(key: string, deadlineMs: number): Promise<void>
  /** Nothing is written after it. */
  close(): void
}

/** Clocks of file systems are coarse and inode numbers come again: what is younger than this is not trusted. */
const doubtMs = 20

export const etagOf = (bytes: Uint8Array) => hash('sha256', bytes, 'base64url')
/** The etag of an empty file. No record is written empty, but without fsyncs a power cut can leave one: it is absent. */
export const hole = etagOf(Buffer.alloc(0))

const versionOf = (stat: fs.Stats) => `${stat.ino}:${stat.mtimeMs}:${stat.ctimeMs}:${stat.size}`

function checkDeadline(deadlineMs: number): void {
  if (Date.now() > deadlineMs)
    throw new RegistryError('STORAGE_UNAVAILABLE', {
      message: 'the operation took too long and was given up',
    })
}

export function folderRecords(root: string, folders: Folders, synced: boolean): FolderRecords {
  const pathOf = (key: string) => `${root}/${key}`

  /** Where this process makes files: two that use one folder wait for each other. */
  const workshop = join(root, 'tmp', String(process.pid))

  /** Makes the folder where it is missing, again if a server that starts has swept it away. */
  function openStaged(path: string): number {
    for (let left = 3; ; left--) {
      try {
        return fs.openSync(path, 'wx', 0o600)
      } catch (error) {
        if (codeOf(error) !== 'ENOENT' || left === 0) throw error
      }
      try {
        fs.mkdirSync(workshop, 0o700)
      } catch (error) {
        // A process of the same number, in another container, was faster.
        if (codeOf(error) !== 'EEXIST') throw error
      }
    }
  }

  /**
   * A file with these bytes under a name that nobody looks at. Making it, and removing its name later, costs 15 to 40 us
   * here and five times that by way of the thread pool; once in a thousand times it waits for the file system's journal.
   */
  async function stage(bytes: Uint8Array): Promise<string> {
    const path = join(workshop, nonce())
    const fd = openStaged(path)
    try {
      if (fs.writeSync(fd, bytes) !== bytes.length) throw new RegistryError('STORAGE_FULL')
      if (synced) await file.fsync(fd)
    } catch (error) {
      await file.unlink(path).catch(() => {})
      throw error
    } finally {
      fs.closeSync(fd)
    }
    return path
  }

  /** The second of two names. */
  function unlinkStaged(path: string): void {
    try {
      fs.unlinkSync(path)
    } catch (error) {
      // Swept away, see above: the first name counts.
      if (codeOf(error) !== 'ENOENT') throw error
    }
  }

  /** Stages bytes and gives them their name by `publish`, durably. */
  async function put(
    key: string,
    bytes: Uint8Array,
    deadlineMs: number,
    publish: (staged: string, path: string) => Promise<boolean>,
  ): Promise<Written> {
    const path = pathOf(key)
    const [staging, ensured] = await Promise.allSettled([stage(bytes), folders.ensure(dirname(path))])
    if (staging.status === 'rejected') throw staging.reason
    const staged = staging.value
    if (ensured.status === 'rejected') {
      await file.unlink(staged).catch(() => {})
      throw ensured.reason
    }
    try {
      checkDeadline(deadlineMs)
      if (!(await publish(staged, path))) return undefined
    } catch (error) {
      await file.unlink(staged).catch(() => {})
      throw error
    }
    await folders.sync(dirname(path))
    return { etag: etagOf(bytes), modifiedMs: Date.now() }
  }

  return {
    async read(key) {
      const fd = await ifThere(file.open(pathOf(key), 'r', 0))
      if (fd === undefined) return undefined
      try {
        const stat = await file.fstat(fd)
        const bytes = await readStart(fd, stat.size)
        const trusted = Date.now() - stat.ctimeMs > doubtMs
        return {
          bytes,
          etag: etagOf(bytes),
          modifiedMs: stat.mtimeMs,
          ...(trusted && { version: versionOf(stat) }),
        }
      } finally {
        await file.close(fd)
      }
    },

    // One stat that never leaves the kernel's cache costs 3 us, the way through the thread pool 30 us.
    isCurrent(key, version) {
      const stat = fs.statSync(pathOf(key), { throwIfNoEntry: false })
      return stat !== undefined && versionOf(stat) === version
    },

    async replace(key, bytes, deadlineMs) {
      const written = await put(key, bytes, deadlineMs, async (staged, path) => {
        await file.rename(staged, path)
        return true
      })
      if (!written) throw new TypeError('an unconditional write cannot be refused')
      return written
    },

    create(key, bytes, deadlineMs) {
      return put(key, bytes, deadlineMs, async (staged, path) => {
        try {
          await file.link(staged, path)
          return true
        } catch (error) {
          if (codeOf(error) !== 'EEXIST') throw error
          return false
        } finally {
          unlinkStaged(staged)
        }
      })
    },

    async remove(key, deadlineMs) {
      checkDeadline(deadlineMs)
      const path = pathOf(key)
      await ifThere(file.unlink(path))
      await ifThere(folders.sync(dirname(path)))
    },

    close() {
      try {
        fs.rmdirSync(workshop)
      } catch {
        // Never made, or somebody of the same number in another container is at it: the next server sweeps it.
      }
    },
  }
}
