import { execFile } from 'node:child_process'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { file, ifThere } from './durable.ts'

const run = promisify(execFile)

async function syncOne(path: string): Promise<void> {
  const fd = await ifThere(file.open(path, 'r', 0))
  if (fd === undefined) return
  try {
    await file.fsync(fd)
  } finally {
    await file.close(fd)
  }
}

/** False: there is no program for that which may be run. Throws where the disk has refused something. */
async function syncAtOnce(root: string): Promise<boolean> {
  try {
    await run('sync', ['-f', root])
    return true
  } catch (error) {
    const { code, stderr = '' } = error as { code?: unknown; stderr?: string }
    if (
      ['ENOENT', 'EACCES', 'EPERM'].includes(String(code)) ||
      /usage|unrecognized|invalid option/i.test(stderr)
    )
      return false
    throw error
  }
}

/**
 * Makes files that were written below a folder durable, with their names: by one syncfs(2) for all of them, which Node has
 * no word for and coreutils has; where that is not to be had, one after another. Throws where the disk has lost any.
 */
export async function syncFiles(root: string, keys: readonly string[]): Promise<void> {
  if (await syncAtOnce(root)) return
  const folders = new Set<string>()
  for (const key of keys) {
    await syncOne(join(root, key))
    for (let folder = dirname(key); folder !== '.'; folder = dirname(folder)) folders.add(folder)
  }
  for (const folder of folders) await syncOne(join(root, folder))
  await syncOne(root)
}
