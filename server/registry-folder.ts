/** A registry's folder for who administers it: beside the server of it, or without one. */
import { type Administration, administration } from '../auth/administration.ts'
import type { AuditEvent } from '../auth/audit.ts'
import { auditLog } from '../auth/audit-log.ts'
import { type AccessSettings, type Directory, directory } from '../auth/directory.ts'
import { inspectFolder } from '../storage/format.ts'
import { type Journal, journal } from '../storage/journal.ts'
import { openFolder } from '../storage/open.ts'
import { accessDocuments } from './access-documents.ts'
import { accessSettingsOf } from './access-settings.ts'
import type { LoadedSettings, Settings } from './config.ts'
import { readNamedFiles } from './named-files.ts'

export interface RegistryFolder {
  readonly directory: Directory
  readonly administration: Administration
  /** The lines of the audit. */
  readonly journal: Pick<Journal, 'lines'>
  readonly settings: AccessSettings
  /** Why its password file cannot be read: then it knows nobody who is in there. */
  readonly fault: string | undefined
  /** How long tokens live. */
  readonly tokens: Settings['tokens']
  /** How to call where a line of the settings comes from, by its index. */
  readonly settingsSource: (name: 'access' | 'protect', index: number) => string
  close(): Promise<void>
}

/** `any`: where there is no registry yet, one is made. */
export type WhichFolder = 'existing' | 'any'

/** Throws with a remedy where that is not for this process to open. */
export async function openRegistryFolder(
  loaded: LoadedSettings,
  which: WhichFolder,
  by: Pick<AuditEvent, 'actor' | 'via'>,
): Promise<RegistryFolder> {
  const { settings, where, file } = loaded
  if (which === 'existing') await demandRegistry(settings.data)
  const { store, close } = await openFolder(settings.data, 'command', settings)
  const { files, faults } = readNamedFiles(loaded, { before: undefined, nowMs: Date.now() })
  // Of the files only this one is about people.
  const fault = faults.find(({ setting }) => setting === 'login.htpasswd')?.line
  const told = accessSettingsOf(settings, files.htpasswd)
  // Whoever is in there, the registry is not open.
  const configured = fault === undefined ? told : { ...told, isExposed: true }
  const known = directory({ documents: accessDocuments(store), settings: () => configured, now: Date.now })
  const lines = journal(store)
  const audit = auditLog({ journal: lines, now: Date.now })
  return {
    directory: known,
    administration: administration({ directory: known, audit, by }),
    journal: lines,
    settings: configured,
    fault,
    tokens: settings.tokens,
    settingsSource: (name, index) => where([name, index]) ?? file ?? 'settings',
    close,
  }
}

async function demandRegistry(path: string): Promise<void> {
  const { state } = await inspectFolder(path)
  if (state === 'absent' || state === 'empty')
    throw new Error(
      `there is no registry in ${path}: name its folder with --data, or begin with slipway user add NAME --admin`,
    )
}
