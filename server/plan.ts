/** What `serve` would do with the settings and the storage as they are, found out without changing anything. */
import { type FolderReport, inspectFolder } from '../storage/format.ts'
import { type LoadedSettings, workerCount } from './config.ts'

export interface ServePlan extends LoadedSettings {
  readonly folder: FolderReport
  readonly workers: number
  /** Who may do what. */
  readonly access: string
  /** Why `serve` would refuse, one line each. */
  readonly faults: readonly string[]
}

export async function planServe(loaded: LoadedSettings): Promise<ServePlan> {
  const folder = await inspectFolder(loaded.settings.data)
  return {
    ...loaded,
    folder,
    workers: workerCount(loaded.settings),
    access: 'open: everyone on this machine may pull, push and delete',
    faults: folderFaults(folder).map(fault => `data: ${folder.path} ${fault}`),
  }
}

function folderFaults({ state, writable, ownerPid, reason = '' }: FolderReport): string[] {
  const because = reason && ` (${reason})`
  if (state === 'foreign') return [`is no registry's folder${because}: name an empty one with --data`]
  if (state === 'newer') return [`was written by a newer version of Slipway${because}: run that version`]
  if (!writable && ownerPid === undefined) {
    const want = state === 'absent' ? 'cannot be made' : 'cannot be written to'
    return [`${want}${because}: give it to this user, or name another with --data`]
  }
  return []
}
