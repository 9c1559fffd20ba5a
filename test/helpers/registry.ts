/** A registry inside this process: the test twin of the composition root (server/worker.ts). */

import { tmpdir } from 'node:os'
import { inspect } from 'node:util'
import type { AccessSettings } from '../../auth/directory.ts'
import type { WorkloadVerifier } from '../../auth/workloads.ts'
import type { FileReceiver } from '../../kernel/receiver.ts'
import type { Pace } from '../../server/body.ts'
import { usualPace } from '../../server/body.ts'
import type { Certificate } from '../../server/certificate.ts'
import { loadSettings, type Settings } from '../../server/config.ts'
import { type HttpLimits, usualLimits } from '../../server/http.ts'
import { startServer } from '../../server/main.ts'
import type { Observation } from '../../server/observe.ts'
import type { Redirect } from '../../server/redirection.ts'
import type { RequestRates } from '../../server/request-rates.ts'
import { memoryStore } from '../../storage/memory.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { leaksInLog, leaksInStore, sweep } from './canaries.ts'

export interface TestRegistry extends AsyncDisposable {
  readonly port: number
  /** Such as `http://127.0.0.1:41234`. */
  readonly address: string
  readonly store: ObjectStore
  readonly settings: Settings
  readonly observations: readonly Observation[]
  renew(certificate: Certificate): void
}

export interface RegistryOverrides {
  readonly settings?: {
    readonly limits?: Partial<Settings['limits']>
    readonly url?: string
    readonly trustedProxies?: readonly string[]
  }
  /** Who is sent to the store for large blobs. */
  readonly redirect?: Redirect
  readonly limits?: Partial<HttpLimits>
  readonly pace?: Partial<Pace>
  readonly store?: ObjectStore
  readonly receiver?: FileReceiver
  readonly listen?: string
  readonly certificate?: Certificate
  readonly access?: () => AccessSettings
  readonly workloads?: () => WorkloadVerifier
  readonly rates?: () => RequestRates
}

/** Listens on a free port of the loopback interface and keeps everything in memory, unless it is given a store. */
export async function startRegistry(overrides: RegistryOverrides = {}): Promise<TestRegistry> {
  const usual = loadSettings({
    cwd: tmpdir(),
    env: {},
    flags: { listen: overrides.listen ?? '127.0.0.1:0' },
  }).settings
  const settings = {
    ...usual,
    ...overrides.settings,
    storage: { s3: { ...usual.storage.s3, redirect: overrides.redirect ?? true } },
    limits: { ...usual.limits, ...overrides.settings?.limits },
  }
  const { store = memoryStore() } = overrides
  const observations: Observation[] = []
  const server = await startServer({
    store,
    registryId: 'test',
    settings: () => settings,
    observe: observation => observations.push(observation),
    sender: () => undefined,
    receiver: () => overrides.receiver,
    certificate: overrides.certificate,
    ...(overrides.access && { access: overrides.access }),
    ...(overrides.workloads && { workloads: overrides.workloads }),
    ...(overrides.rates && { rates: overrides.rates }),
    limits: { ...usualLimits, ...overrides.limits },
    pace: { ...usualPace, ...overrides.pace },
  })
  const [address = ''] = server.addresses
  return {
    port: Number(new URL(address).port),
    address,
    store,
    settings,
    observations,
    renew: server.renew,
    async [Symbol.asyncDispose]() {
      await server.stop(AbortSignal.abort())
      const kept = await leaksInStore(store)
      await store.close()
      // What an operation is about is not logged as it is.
      const lines = observations.map(({ ...each }) => ({
        ...each,
        ...('operation' in each && { operation: each.operation?.kind }),
        ...('error' in each && { error: inspect(each.error) }),
      }))
      sweep([...leaksInLog(lines), ...kept])
    },
  }
}
