/** A registry's folder for who administers it: beside the server of it, or without one. */
import { type Administration, administration } from '../auth/administration.ts'
import type { AuditEvent } from '../auth/audit.ts'
import { auditLog } from '../auth/audit-log.ts'
import { type AccessSettings, type Directory, directory } from '../auth/directory.ts'
import { type Journal, journal } from '../storage/journal.ts'
import { lookAtPlace, openPlace, type Place } from '../storage/place.ts'
import { accessDocuments } from './access-documents.ts'
import { accessSettingsOf } from './access-settings.ts'
import { type LoadedSettings, type Settings, SettingsError } from './config.ts'
import { readNamedFiles } from './named-files.ts'
import { placeFaults } from './plan.ts'
import { placeOf } from './storage-place.ts'
import { waitedFor } from './waiting.ts'

export interface RegistryFolder {
  /** The folder or bucket that was made a registry for this; undefined where there was one. */
  readonly madeIn: string | undefined
  readonly directory: Directory
  readonly administration: Administration
  /** The lines of the audit. */
  readonly journal: Pick<Journal, 'lines'>
  readonly settings: AccessSettings
  /** What is kept there can be protected. */
  readonly canProtect: boolean
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
  const { files, faults } = readNamedFiles(loaded, { before: undefined, nowMs: Date.now() })
  const cannotOpen = placeFaults(faults)
  if (cannotOpen.length > 0) throw new SettingsError(cannotOpen)
  const place = placeOf(settings, files)
  const unused = await waitedFor(place, () => unusedPlace(place))
  if (unused && which === 'existing')
    throw new Error(
      `there is no registry in ${unused.name}: ${unused.remedy}, or begin with slipway user add NAME --admin`,
    )
  const { store, close } = await openPlace(place, 'command')
  // Of the other files only this one is about people.
  const fault = faults.find(({ setting }) => setting === 'login.htpasswd')?.line
  const told = accessSettingsOf(settings, files.htpasswd)
  // Whoever is in there, the registry is not open.
  const configured = fault === undefined ? told : { ...told, isExposed: true }
  const known = directory({ documents: accessDocuments(store), settings: () => configured, now: Date.now })
  const lines = journal(store)
  const audit = auditLog({ journal: lines, now: Date.now })
  return {
    madeIn: unused?.name,
    directory: known,
    administration: administration({ directory: known, audit, by }),
    journal: lines,
    settings: configured,
    canProtect: store.lax !== true,
    fault,
    tokens: settings.tokens,
    settingsSource: (name, index) => where([name, index]) ?? file ?? 'settings',
    close,
  }
}

/** A place that holds no registry, and how to name another; undefined where there is one. */
async function unusedPlace(
  place: Place,
): Promise<{ readonly name: string; readonly remedy: string } | undefined> {
  const { state, ...report } = await lookAtPlace(place)
  // What has not answered now need not be asked again for the same.
  if (report.kind === 'bucket' && report.reason !== undefined) throw new Error(report.reason)
  if (state !== 'absent' && state !== 'empty') return undefined
  return report.kind === 'bucket'
    ? { name: report.name, remedy: 'name its bucket with --storage' }
    : { name: report.path, remedy: 'name its folder with --data' }
}
