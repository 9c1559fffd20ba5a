import { bearer, logins, tokens } from './access-measurements.ts'
import type { Need } from './content.ts'
import type { Measurement } from './measure.ts'
import { memory, start } from './process-measurements.ts'
import {
  catalogPage,
  getLarge,
  getSmall,
  headSmall,
  manifestByTag,
  manyTags,
  type Plan,
  tagsPage,
} from './read-measurements.ts'
import { storeRequests } from './request-measurements.ts'
import { storeGet, storePush, storePushSmall } from './store-measurements.ts'
import { pushLarge, pushSmall, pushTags } from './write-measurements.ts'

/** Where the servers keep their content. */
export type Storage = 'folder' | 's3'

interface Entry {
  /** A folder, where nothing is said. */
  readonly storage?: Storage
  /** What the servers must hold for it, beyond one small image. */
  readonly needs: readonly Need[]
  readonly plan: (plan: Plan) => Measurement
}

/** All there is to measure, by the names of `--only`, in the order of the output. */
export const measurements = {
  start: { needs: [], plan: start },
  get: { needs: ['large'], plan: getLarge },
  manifest: { needs: [], plan: manifestByTag },
  blob: { needs: [], plan: getSmall },
  head: { needs: [], plan: headSmall },
  tags: { needs: ['tags'], plan: tagsPage },
  'many-tags': { needs: [], plan: manyTags },
  catalog: { needs: ['catalog'], plan: catalogPage },
  push: { needs: [], plan: pushLarge },
  'push-small': { needs: [], plan: pushSmall },
  'push-tags': { needs: [], plan: pushTags },
  bearer: { needs: [], plan: bearer },
  tokens: { needs: [], plan: tokens },
  logins: { needs: [], plan: logins },
  memory: { needs: ['huge'], plan: memory },
  's3-requests': { storage: 's3', needs: [], plan: storeRequests },
  's3-push': { storage: 's3', needs: [], plan: storePush },
  's3-get': { storage: 's3', needs: ['large'], plan: storeGet },
  's3-push-small': { storage: 's3', needs: [], plan: storePushSmall },
} as const satisfies Record<string, Entry>

export type MeasurementName = keyof typeof measurements

export const measurementNames: readonly MeasurementName[] =
  Object.keys(measurements).filter(isMeasurementName)

export function storageOf(name: MeasurementName): Storage {
  const entry: Entry = measurements[name]
  return entry.storage ?? 'folder'
}

export function isMeasurementName(name: string): name is MeasurementName {
  return Object.hasOwn(measurements, name)
}
