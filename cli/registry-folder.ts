/** What the commands share that look into the data folder, or change who may do what. */
import { userInfo } from 'node:os'
import { GrammarError } from '../auth/errors.ts'
import { loadSettings } from '../server/config.ts'
import type { SettingFlags } from '../server/config-sources.ts'
import { openRegistryFolder, type RegistryFolder, type WhichFolder } from '../server/registry-folder.ts'
import type { Outcome } from './command.ts'
import { UsageError } from './usage.ts'

export async function inRegistry(
  flags: SettingFlags,
  which: WhichFolder,
  use: (folder: RegistryFolder) => Promise<Outcome>,
): Promise<Outcome> {
  const loaded = loadSettings({ flags })
  const folder = await openRegistryFolder(loaded, which, { actor: systemUser(), via: 'cli' })
  try {
    if (folder.madeIn !== undefined) remark(`a registry was made in ${folder.madeIn}`)
    if (folder.fault !== undefined) remark(`warning: ${folder.fault}`)
    return await use(folder)
  } finally {
    await folder.close()
  }
}

/** For what would be wrong without those of the password file. */
export async function inWholeRegistry(
  flags: SettingFlags,
  use: (folder: RegistryFolder) => Promise<Outcome>,
): Promise<Outcome> {
  return inRegistry(flags, 'existing', async folder => {
    if (folder.fault !== undefined) throw new Error('who is in the password file cannot be told')
    return use(folder)
  })
}

/** What a word of the command line means, where it is one of a grammar. */
export function grammatical<T>(parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    if (cause instanceof GrammarError) throw new UsageError(cause.message, { cause })
    throw cause
  }
}

/** For whoever reads, not for whoever parses what is printed. */
export function remark(text: string): void {
  process.stderr.write(`${text}\n`)
}

function systemUser(): string {
  try {
    return `cli:${userInfo().username}`
  } catch {
    // In a container, a user need not have a name.
    return `cli:uid-${process.getuid?.()}`
  }
}
