/** What a running server goes by, and how that changes. What is wrong is reported, and leaves it as it was. */
import { isDeepStrictEqual } from 'node:util'
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

/** All of it anew, as SIGHUP asks for. */
export async function reload(before: Current, load: () => LoadedSettings, log: Log): Promise<Current> {
  try {
    const read = withTerminalLevel(load())
    const settings = reloaded(before.loaded.settings, read.settings)
    const after = await current({ ...read, settings }, before.isLax)
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

/** The files alone, as they have changed. Each that cannot be used stays what it was. */
export function reread(before: Current, log: Log): Current {
  const { files, faults, warnings } = readNamedFiles(before.loaded, {
    before: before.files,
    nowMs: Date.now(),
  })
  if (faults.length > 0) log.observe({ event: 'files refused', faults })
  if (isDeepStrictEqual(files, before.files)) return before
  log.observe({ event: 'files' })
  const after = { ...before, files, warnings }
  tellWarnings(after, log)
  return after
}

export function tellWarnings({ warnings }: Current, log: Log): void {
  if (warnings.length > 0) log.observe({ event: 'settings doubtful', warnings })
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
