/** What the file system under a folder really does. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { codeOf } from '../oci/errors.ts'
import { file } from './durable.ts'

export interface FolderProbe {
  /** Who owns what is written. */
  readonly uid: number
  /** What a store cannot do without. */
  readonly fault?: 'ignores case' | 'has no hard links'
}

/** Tries it with files in a folder that must be there, and removes them. */
export async function probeFolder(folder: string): Promise<FolderProbe> {
  const name = `probe-${randomUUID()}`
  const lower = join(folder, name)
  const upper = join(folder, name.toUpperCase())
  await file.close(await file.open(lower, 'w', 0o600))
  try {
    const { uid } = await file.stat(lower)
    try {
      await file.link(lower, upper)
    } catch (error) {
      return { uid, fault: codeOf(error) === 'EEXIST' ? 'ignores case' : 'has no hard links' }
    }
    await file.unlink(upper)
    return { uid }
  } finally {
    await file.unlink(lower)
  }
}
