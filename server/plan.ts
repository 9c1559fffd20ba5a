/** What `serve` would do with the settings and the storage as they are, found out without changing anything. */
import type { AccessState } from '../auth/state.ts'
import { type FolderReport, inspectFolder } from '../storage/format.ts'
import { accessKey } from '../storage/layout.ts'
import { peek } from '../storage/peek.ts'
import { decodeRecord } from '../storage/record.ts'
import { isOpen } from './access-settings.ts'
import { hasTls, type LoadedSettings, type Settings, SettingsError, workerCount } from './config.ts'
import { placeOf } from './config-sources.ts'
import { listeningFaults } from './listening.ts'
import { type NamedFiles, type ReadFiles, readNamedFiles } from './named-files.ts'
import { findBindFault } from './sockets.ts'

export interface ServePlan extends LoadedSettings {
  readonly folder: FolderReport
  readonly workers: number
  /** Who may do what. */
  readonly access: string
  readonly files: NamedFiles
  /** Why `serve` would refuse, one line each. */
  readonly faults: readonly string[]
}

export async function planServe(loaded: LoadedSettings): Promise<ServePlan> {
  const { settings } = loaded
  const folder = await inspectFolder(settings.data).catch(cause => {
    throw new SettingsError([cause instanceof Error ? cause.message : String(cause)])
  })
  const users = await hasUsers(settings.data)
  const { files, faults, warnings } = examine(loaded, users)
  return {
    ...loaded,
    warnings,
    files,
    folder,
    workers: workerCount(settings),
    access: accessText(settings, users),
    faults: [...faults, ...folderFaults(folder), ...(await listenFaults(settings, folder))],
  }
}

/**
 * Whether people, machines or rules are kept in the folder, which closes the registry to everybody else. False where that
 * cannot be read: who opens the folder is told why.
 */
export async function hasUsers(folder: string): Promise<boolean> {
  const record = await peek(folder, accessKey('access')).catch(() => undefined)
  if (!record) return false
  const { users, robots, rules } = decodeRecord<{ readonly value: AccessState }>(record).value
  return users.length + robots.length + rules.length > 0
}

interface Examined extends Omit<ReadFiles, 'faults'> {
  /** One line each. */
  readonly faults: readonly string[]
}

/** What can be said of settings without opening the folder. */
export function examine(loaded: LoadedSettings, users: boolean): Examined {
  const { settings, sources } = loaded
  const { files, faults, warnings } = readNamedFiles(loaded, { before: undefined, nowMs: Date.now() })
  const listening = listeningFaults({
    addresses: settings.listen,
    isOpen: isOpen(settings, users),
    tls: hasTls(settings),
    insecure: settings.insecure,
  }).map(fault => `${placeOf(sources.get('listen') ?? 'default', 'listen')}: ${fault}`)
  return {
    files,
    faults: [...faults.map(({ line }) => line), ...listening],
    warnings: [...loaded.warnings, ...warnings],
  }
}

/** Who may do what, in a few words. */
export function accessText(settings: Settings, users: boolean): string {
  const { length } = settings.access
  if (isOpen(settings, users)) return 'open: everyone on this machine may pull, push and delete'
  if (length > 0) return `as ${length} ${length === 1 ? 'rule says' : 'rules say'}`
  return 'delete ** signed-in: every user may pull, push and delete, as there is no rule'
}

/** What the server that has the folder holds is free when it ends. */
async function listenFaults({ listen }: Settings, { ownerPid }: FolderReport): Promise<string[]> {
  const faults = await Promise.all(listen.map(findBindFault))
  return faults.flatMap(fault => (fault && !(fault.inUse && ownerPid !== undefined) ? [fault.text] : []))
}

function folderFaults({ path, state, writable, ownerPid, reason }: FolderReport): string[] {
  if (reason !== undefined) return [reason]
  if (writable || ownerPid !== undefined) return []
  const want = state === 'absent' ? 'cannot be made' : 'cannot be written to'
  return [`data folder ${path} ${want}: give it to this user, or name another with --data`]
}
