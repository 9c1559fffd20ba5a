import { loadSettings } from '../server/config.ts'
import type { SettingFlags } from '../server/config-sources.ts'
import { serve } from '../server/family.ts'

/** Runs the registry. The settings are read again, from the same places, whenever the server asks. */
export async function runServe(flags: SettingFlags): Promise<void> {
  await serve(() => loadSettings({ flags }))
}
