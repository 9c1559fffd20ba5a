import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import type { Io } from '../oci/io.ts'

/** Runs a program to its end. Throws what it said when its status is not 0. */
export async function runProgram(
  file: string,
  args: readonly string[],
  io: Io,
): Promise<{ stdout: string; stderr: string }> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], signal: io.signal })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const [stdout, stderr, status] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  if (status === 0) return { stdout, stderr }
  throw new Error(
    `${file} ended with ${status}: ${(stderr || stdout).trim().split('\n').slice(-3).join(' / ')}`,
  )
}
