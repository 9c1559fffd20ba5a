import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Io } from '../oci/io.ts'
import { runProgram } from './program.ts'

/** Where servers are installed though not every user's PATH says so. */
const systemFolders = ['/usr/sbin', '/usr/local/sbin']

export async function findProgram(name: string, io: Io): Promise<string | undefined> {
  const path = (process.env.PATH ?? '').split(delimiter)
  const file = [...path, ...systemFolders].map(folder => join(folder, name)).find(isExecutable)
  if (file !== undefined) return file
  const goFile = join(await goFolder(io), 'bin', name)
  return isExecutable(goFile) ? goFile : undefined
}

/** What a program says of its version, on whichever stream. */
export async function versionOf(program: string, flag: string, io: Io): Promise<string> {
  const { stdout, stderr } = await runProgram(program, [flag], io)
  return /(?<![\d.])\d+\.\d+\.\d+/.exec(stdout + stderr)?.[0] ?? 'of unknown version'
}

async function goFolder(io: Io): Promise<string> {
  try {
    return (await runProgram('go', ['env', 'GOPATH'], io)).stdout.trim()
  } catch {
    return '/nonexistent'
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
