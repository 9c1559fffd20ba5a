import type { AccessSettings } from '../auth/directory.ts'
import type { Settings } from './config.ts'

/** What the settings say of access. */
export function accessSettingsOf(_settings: Settings): AccessSettings {
  return { groups: new Map(), rules: [], protections: [], htpasswd: new Map(), workloads: [] }
}
