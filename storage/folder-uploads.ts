import fs from 'node:fs'
import { dirname, join } from 'node:path'
import { codeOf, RegistryError } from '../oci/errors.ts'
import { bootId } from './boot-id.ts'
import { isContentId, newContentId } from './content-id.ts'
import { type Folders, file, ifThere } from './durable.ts'
import { contentKey } from './layout.ts'
import type { ObjectStore, Upload } from './object-store.ts'
import { receive } from './receive.ts'
import type { Referee } from './referee.ts'

type UploadMethods = Pick<
  ObjectStore,
  'run' | 'begin' | 'uploaded' | 'append' | 'reread' | 'complete' | 'abort' | 'uploads' | 'open'
>

/**
 * Uploads as growing files `u/<owner>/<id>`, which one rename makes content: the bytes stay where they were written.
 * A writer holds the upload's lock, so nothing is added to what somebody else is completing. No byte is ever written
 * over, so what was known of the first ones stays true, whoever knows it.
 */
export function folderUploads(root: string, folders: Folders, referee: Referee): UploadMethods {
  const pathOf = ({ owner, id }: Upload) => `${root}/u/${owner}/${id}`
  const contentPathOf = ({ id }: Upload) => `${root}/${contentKey(id)}`

  /** What was completed lies where its content belongs, and so does an empty file for what was forgotten. */
  function refuseUsed(upload: Upload): void {
    // Never waits for a disk: see isCurrent in folder-records.ts.
    if (fs.statSync(contentPathOf(upload), { throwIfNoEntry: false }))
      throw new RegistryError('UPLOAD_UNKNOWN')
  }

  async function markUsed(upload: Upload): Promise<void> {
    await folders.ensure(dirname(contentPathOf(upload)))
    try {
      fs.closeSync(await file.open(contentPathOf(upload), 'wx', 0o600))
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    }
  }

  async function forget(upload: Upload): Promise<void> {
    const marking = markUsed(upload)
    // A disk that has no room for the mark gets room by this.
    await marking.catch(() => {})
    await ifThere(file.unlink(pathOf(upload)))
    await marking.catch(() => markUsed(upload))
  }

  async function holding<T>(upload: Upload, flags: number, act: (fd: number) => Promise<T>): Promise<T> {
    const release = await referee.lock(upload.id)
    if (!release) throw new RegistryError('UPLOAD_BUSY', { headers: { 'Retry-After': '1' } })
    try {
      refuseUsed(upload)
      const fd = await ifThere(file.open(pathOf(upload), flags, 0o600))
      if (fd === undefined) throw new RegistryError('UPLOAD_UNKNOWN')
      try {
        return await act(fd)
      } finally {
        await file.close(fd)
      }
    } finally {
      await release()
    }
  }

  return {
    run: bootId(),

    begin: owner => ({ id: newContentId(), owner }),

    async uploaded(upload) {
      const stat = fs.statSync(pathOf(upload), { throwIfNoEntry: false })
      if (!stat) refuseUsed(upload)
      return stat && { size: stat.size, modifiedMs: stat.mtimeMs }
    },

    async append(upload, source, { offset, witness, signal, admit }) {
      const { O_RDWR, O_CREAT } = fs.constants
      if (offset === 0) {
        await admit?.()
        await folders.ensure(dirname(pathOf(upload)))
      }
      const size = await holding(upload, offset === 0 ? O_RDWR | O_CREAT : O_RDWR, async fd => {
        signal.throwIfAborted()
        if ((await file.fstat(fd)).size !== offset) throw new RegistryError('UPLOAD_OUT_OF_ORDER')
        if (offset === 0 && source.move) return source.move(fd, { signal })
        const stream = source.open()
        const stop = () => stream.destroy(signal.reason instanceof Error ? signal.reason : undefined)
        signal.addEventListener('abort', stop, { once: true })
        try {
          return await receive(stream, fd, offset, witness)
        } finally {
          signal.removeEventListener('abort', stop)
        }
      })
      return { upload, size }
    },

    async reread(upload) {
      const fd = await ifThere(file.open(pathOf(upload), 'r', 0))
      if (fd === undefined) return undefined
      const { size } = await file.fstat(fd).catch(async error => {
        await file.close(fd)
        throw error
      })
      // As much memory is taken for each read, and there is one more where it is not known that nothing is left.
      const highWaterMark = Math.max(1, Math.min(size, 512 * 1024))
      return fs.createReadStream('', { fd, highWaterMark, ...(size > 0 && { end: size - 1 }) })
    },

    complete(upload, size) {
      // The kernel reports a failed write once, and takes the pages for written from then on.
      const forgetAfter = async (error: unknown) => {
        await forget(upload)
        throw error
      }
      return holding(upload, fs.constants.O_RDWR, async fd => {
        if ((await file.fstat(fd)).size !== size) throw new RegistryError('UPLOAD_BUSY')
        const key = contentKey(upload.id)
        const path = join(root, key)
        await Promise.all([file.fsync(fd).catch(forgetAfter), folders.ensure(dirname(path))])
        await file.rename(pathOf(upload), path)
        await folders.sync(dirname(path))
        return key
      })
    },

    abort: forget,

    async uploads(owner) {
      const owners =
        owner === undefined ? ((await ifThere(file.readdir(join(root, 'u')))) ?? []) : [{ name: owner }]
      const found: Upload[] = []
      for (const { name } of owners)
        for (const entry of (await ifThere(file.readdir(join(root, 'u', name)))) ?? [])
          if (isContentId(entry.name)) found.push({ id: entry.name, owner: name })
      return found
    },

    async open(key) {
      const fd = await ifThere(file.open(join(root, key), 'r', 0))
      if (fd === undefined) return undefined
      try {
        const { size } = await file.fstat(fd)
        return { kind: 'file', size, fd, close: () => fs.close(fd, () => {}) }
      } catch (error) {
        await file.close(fd)
        throw error
      }
    },
  }
}

/** What a failure of the file system means to the registry; anything unknown passes as it is. */
export function folderFault(error: unknown): unknown {
  switch (codeOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new RegistryError('STORAGE_FULL', { cause: error })
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'EIO':
    case 'EMFILE':
    case 'ENFILE':
      return new RegistryError('STORAGE_UNAVAILABLE', {
        message: `storage does not accept this now (${codeOf(error)})`,
        cause: error,
        headers: { 'Retry-After': '10' },
      })
    default:
      return error
  }
}
