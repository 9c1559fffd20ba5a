import fs from 'node:fs'
import { promisify } from 'node:util'
import { RegistryError } from '../oci/errors.ts'

/** Kept free for records, so that deleting and tagging go on when blobs do not fit any more. */
const reserveShare = 0.02
const maxReserveBytes = 1024 ** 3

export const statfs = promisify<string, fs.StatsFs>((path, done) => fs.statfs(path, done))

/** Bytes that may still be written before the reserve is touched. */
export async function freeBytes(path: string): Promise<number> {
  const { bavail, blocks, bsize } = await statfs(path)
  return bavail * bsize - Math.min(maxReserveBytes, blocks * bsize * reserveShare)
}

/** How long a look at the free space counts; what is taken in between is subtracted. */
const lookMs = 100

/** Takes bytes from what is free, or throws STORAGE_FULL. */
export function spaceIn(root: string): (bytes: number) => Promise<void> {
  let free = 0
  let lookedMs = 0
  return async bytes => {
    if (bytes > free || Date.now() - lookedMs > lookMs) {
      free = await freeBytes(root)
      lookedMs = Date.now()
    }
    if (bytes > free || free < 0)
      throw new RegistryError('STORAGE_FULL', { message: `storage is full: ${bytes} bytes more do not fit` })
    free -= bytes
  }
}
