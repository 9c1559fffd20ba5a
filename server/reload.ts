/** What a running server goes by, and how that changes. What is wrong is reported, and leaves it as it was. */
import { isDeepStrictEqual } from 'node:util'
import type { AuditLog } from '../auth/audit-log.ts'
import { accessChanges } from './access-changes.ts'
import { type LoadedSettings, reloaded, SettingsError, settingChanges } from './config.ts'
import { type NamedFiles, readNamedFiles } from './named-files.ts'
import type { Log } from './observe.ts'
import { examine, protectionFaults } from './plan.ts'

export interface Current {
  readonly loaded: LoadedSettings
  readonly files: NamedFiles
  readonly warnings: readonly string[]
  /** The storage keeps no conditions. */
  readonly isLax: boolean
}

export interface Told {
  readonly log: Log
  readonly audit: Pick<AuditLog, 'record'>
}

/** All of it anew, as SIGHUP asks for. What cannot be written down does not count. */
export async function reload(
  before: Current,
  load: () => LoadedSettings,
  { log, audit }: Told,
): Promise<Current> {
  try {
    const read = withTerminalLevel(load())
    const settings = reloaded(before.loaded.settings, read.settings)
    const after = await current({ ...read, settings }, before.isLax)
    await writeDown(before, after, audit)
    log.setLevel(settings.log.level)
    log.observe({ event: 'settings', ...settingChanges(before.loaded.settings, read.settings) })
    tellWarnings(after, log)
    return after
  } catch (error) {
    const faults = error instanceof SettingsError ? error.faults : [String(error)]
    log.observe({ event: 'settings refused', faults })
    return before
  }
}

/**
 * The files alone, as they have changed. Each that cannot be used stays what it was. Throws SettingsError where what
 * changes cannot be written down.
 */
export async function reread(before: Current, { log, audit }: Told): Promise<Current> {
  const { files, faults, warnings } = readNamedFiles(before.loaded, {
    before: before.files,
    nowMs: Date.now(),
  })
  if (faults.length > 0) log.observe({ event: 'files refused', faults: faults.map(({ line }) => line) })
  if (isDeepStrictEqual(files, before.files)) return before
  const after = { ...before, files, warnings }
  await writeDown(before, after, audit)
  log.observe({ event: 'files' })
  tellWarnings(after, log)
  return after
}

export function tellWarnings({ warnings }: Current, log: Log): void {
  if (warnings.length > 0) log.observe({ event: 'settings doubtful', warnings })
}

async function writeDown(before: Current, after: Current, audit: Told['audit']): Promise<void> {
  const source = ({ loaded, files }: Current) => ({ settings: loaded.settings, files })
  try {
    for (const note of accessChanges(source(before), source(after))) await audit.record(note)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new SettingsError([`nothing was changed, because the audit cannot be written: ${why}`])
  }
}

/** Throws SettingsError. */
async function current(loaded: LoadedSettings, isLax: boolean): Promise<Current> {
  const { files, faults, warnings, protections } = await examine(loaded)
  const all = [...faults, ...protectionFaults(isLax, protections)]
  if (all.length > 0) throw new SettingsError(all)
  return { loaded, files, warnings, isLax }
}

/** A terminal shows what to type next, and after that only trouble, unless it is asked for more. */
export function withTerminalLevel({ settings, ...rest }: LoadedSettings): LoadedSettings {
  const quiet = process.stdout.isTTY && !rest.sources.has('log.level')
  return { ...rest, settings: quiet ? { ...settings, log: { level: 'warn' } } : settings }
}
