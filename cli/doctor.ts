import { loadSettings, SettingsError } from '../server/config.ts'
import type { SettingFlags } from '../server/config-sources.ts'
import { type Diagnosis, diagnose, faultySettings } from '../server/doctor.ts'
import type { Outcome } from './command.ts'

/** Prints a line for each thing that was looked at. Ends with `found` where something is missing. */
export async function doctor(
  { json = false, ...flags }: SettingFlags & { readonly json?: boolean | undefined },
  print: (text: string) => void,
): Promise<Outcome> {
  const found = await findings(flags)
  const width = Math.max(...found.map(({ what }) => what.length))
  if (json) print(JSON.stringify({ findings: found }))
  else
    for (const { what, state, found: text } of found)
      print(`${state.padEnd(7)}  ${what.padEnd(width)}  ${text}`)
  return found.some(({ state }) => state === 'missing') ? 'found' : 'done'
}

async function findings(flags: SettingFlags): Promise<readonly Diagnosis[]> {
  try {
    return await diagnose(loadSettings({ flags }))
  } catch (error) {
    if (!(error instanceof SettingsError) || error.isMisuse) throw error
    return faultySettings(error.faults)
  }
}
