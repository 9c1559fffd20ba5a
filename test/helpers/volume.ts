/** File systems of a test's own, so that a disk can be full or turn read-only. Mounting them takes root. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { itUnless, needsPrograms } from './obstacles.ts'

const run = promisify(execFile)

export interface Volume extends AsyncDisposable {
  readonly path: string
  remount(mode: 'ro' | 'rw'): Promise<void>
}

/** A file system of `bytes` in memory. */
export async function mountVolume(bytes: number): Promise<Volume> {
  const path = await mkdtemp(join(tmpdir(), 'slipway-volume-'))
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0700`, 'slipway-test', path])
  } catch (error) {
    await rmdir(path)
    throw error
  }
  return {
    path,
    async remount(mode) {
      await run('mount', ['-o', `remount,bind,${mode}`, path])
    },
    async [Symbol.asyncDispose]() {
      // Lazily: a program that is about to end may still have a file open.
      await run('umount', ['--lazy', path])
      await rm(path, { recursive: true })
    },
  }
}

/** A test that mounts. */
export const itMounts = (behaviour: string, body: () => Promise<void>) =>
  itUnless(needsPrograms(['mount']), behaviour, body)
