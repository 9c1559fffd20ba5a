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
import { type LoadedSettings, type Settings, SettingsError } from './config.ts'
import { readNamedFiles } from './named-files.ts'

export interface RegistryFolder {
  /** It was made for this. */
  readonly isNew: boolean
  readonly directory: Directory
  readonly administration: Administration
  /** The lines of the audit. */
  readonly journal: Pick<Journal, 'lines'>
  readonly settings: AccessSettings
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
  const isNew = await isUnused(settings.data)
  if (isNew && which === 'existing')
    throw new Error(
      `there is no registry in ${settings.data}: name its folder with --data, or begin with slipway user add NAME --admin`,
    )
  const { store, close } = await openFolder(settings.data, 'command', settings)
  const { files, faults } = readNamedFiles(loaded, { before: undefined, nowMs: Date.now() })
  // Of the files only this one is about people.
  const fault = faults.find(each => each.includes('login.htpasswd'))
  if (fault !== undefined) throw new SettingsError([fault])
  const configured = accessSettingsOf(settings, files.htpasswd)
  const known = directory({ documents: accessDocuments(store), settings: () => configured, now: Date.now })
  const lines = journal(store)
  const audit = auditLog({ journal: lines, now: Date.now })
  return {
    isNew,
    directory: known,
    administration: administration({ directory: known, audit, by }),
    journal: lines,
    settings: configured,
    tokens: settings.tokens,
    settingsSource: (name, index) => where([name, index]) ?? file ?? 'settings',
    close,
  }
}

async function isUnused(path: string): Promise<boolean> {
  const { state } = await inspectFolder(path)
  return state === 'absent' || state === 'empty'
}
