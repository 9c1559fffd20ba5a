import type { SettingFlags } from '../server/config-sources.ts'
import { startWorkers } from '../server/workers.ts'

/** Runs the registry. The settings are read again, from the same places, whenever the server asks. */
export async function runServe(flags: SettingFlags): Promise<void> {
  // A worker reads its code while this process reads its own, and the settings.
  const workers = startWorkers()
  const [{ loadSettings }, { serve }] = await Promise.all([
    import('../server/config.ts'),
    import('../server/family.ts'),
  ])
  await serve(workers, () => loadSettings({ flags }))
}
