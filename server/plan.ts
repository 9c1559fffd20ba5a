/** What `serve` would do with the settings and the storage as they are, found out without changing anything. */
import { type FolderReport, inspectFolder } from '../storage/format.ts'
import { type LoadedSettings, type Settings, SettingsError, workerCount } from './config.ts'
import { findBindFault } from './sockets.ts'

export interface ServePlan extends LoadedSettings {
  readonly folder: FolderReport
  readonly workers: number
  /** Who may do what. */
  readonly access: string
  /** Why `serve` would refuse, one line each. */
  readonly faults: readonly string[]
}

export async function planServe(loaded: LoadedSettings): Promise<ServePlan> {
  const { settings } = loaded
  const folder = await inspectFolder(settings.data).catch(cause => {
    throw new SettingsError([cause instanceof Error ? cause.message : String(cause)])
  })
  return {
    ...loaded,
    folder,
    workers: workerCount(settings),
    access: 'open: everyone on this machine may pull, push and delete',
    faults: [...folderFaults(folder), ...(await listenFaults(settings, folder))],
  }
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
