/** What the parent does from time to time, whoever asks for what. */
import { type Directory, directory } from '../auth/directory.ts'
import { aged } from '../auth/keys.ts'
import type { Io } from '../oci/io.ts'
import { localRegistry } from '../storage/local-registry.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { accessDocuments } from './access-documents.ts'
import { accessSettingsOf } from './access-settings.ts'
import type { Settings } from './config.ts'
import type { Observe } from './observe.ts'
import { registryOptions } from './registry-options.ts'

/** Longest time between two looks for uploads that lie idle; half of what they may, where that is less. */
const mostPurgeEveryMs = 10 * 60_000
const ageKeysEveryMs = 60 * 60_000
const lookAtLogEveryMs = 60_000

export interface UpkeepParts {
  readonly store: ObjectStore
  readonly registryId: string
  settings(): Settings
  /** What is wrong with the log of the folder, if anything is. */
  readonly logFault?: (() => unknown) | undefined
  readonly observe: Observe
}

export function keepUp({ store, registryId, settings, logFault, observe }: UpkeepParts): { stop(): void } {
  const { uploads } = localRegistry(store, registryOptions(registryId, settings))
  const purging = repeat(
    Math.min(mostPurgeEveryMs, settings().limits.uploadTtlMs / 2),
    async io => {
      const removed = await uploads.purge(io)
      if (removed > 0) observe({ event: 'purged', uploads: removed })
    },
    error => observe({ event: 'job failed', job: 'purge', error }),
  )
  const known = directory({
    documents: accessDocuments(store),
    settings: () => accessSettingsOf(settings(), undefined),
    now: Date.now,
  })
  const aging = repeat(
    ageKeysEveryMs,
    io => ageAccess(known, io),
    error => observe({ event: 'job failed', job: 'keys', error }),
  )
  const looking = repeat(
    lookAtLogEveryMs,
    async () => {
      const fault = logFault?.()
      if (fault !== undefined) throw fault
    },
    error => observe({ event: 'job failed', job: 'log', error }),
  )
  return {
    stop() {
      clearInterval(looking)
      clearInterval(purging)
      clearInterval(aging)
    },
  }
}

/** What time makes of the documents of access control: they come to be, and the signing keys take turns. */
async function ageAccess(known: Directory, io: Io): Promise<void> {
  // Every request asks for it, and what is not there is looked for on the disk each time.
  await known.change(state => ({ state, result: undefined }), io)
  await known.changeKeys(ring => aged(ring, Date.now()), io)
}

/** Gives up when it is time for the next. */
function repeat(
  everyMs: number,
  job: (io: Io) => Promise<void>,
  onError: (error: unknown) => void,
): NodeJS.Timeout {
  const run = () => void job({ signal: AbortSignal.timeout(everyMs) }).catch(onError)
  run()
  return setInterval(run, everyMs).unref()
}
