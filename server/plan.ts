/** What `serve` would do with the settings and the storage as they are, found out without changing anything. */
import { type AccessState, emptyState } from '../auth/state.ts'
import { accessKey } from '../storage/layout.ts'
import { inspectPlace, type Place, type PlaceReport, peekAt } from '../storage/place.ts'
import { decodeRecord } from '../storage/record.ts'
import { isOpen } from './access-settings.ts'
import { bucketDoubts } from './bucket-doubts.ts'
import { hasTls, type LoadedSettings, type Settings, SettingsError, workerCount } from './config.ts'
import { placeOf } from './config-sources.ts'
import { listeningFaults, proxyDoubt } from './listening.ts'
import { type FileFault, type NamedFiles, type ReadFiles, readNamedFiles } from './named-files.ts'
import { isRegistry } from './neighbour.ts'
import { type BindFault, findBindFault } from './sockets.ts'
import { placeOf as storagePlace } from './storage-place.ts'
import { waitedFor } from './waiting.ts'

export interface ServePlan extends LoadedSettings {
  readonly storage: PlaceReport
  readonly workers: number
  /** Who may do what. */
  readonly access: string
  readonly files: NamedFiles
  /** Why `serve` would refuse, one line each. */
  readonly faults: readonly string[]
  /**
   * Addresses where a registry answers already, each with why `serve` would refuse as long as it does. A bucket does not say
   * who serves it: this may be the server of it, or that of another.
   */
  readonly servedAt: readonly BindFault[]
}

export async function planServe(loaded: LoadedSettings): Promise<ServePlan> {
  const { settings } = loaded
  const { files, faults, warnings, storage, users, protections } = await survey(loaded)
  if (storage === undefined) throw new SettingsError(faults)
  const listening = await listenFaults(settings, storage)
  return {
    ...loaded,
    warnings,
    files,
    storage,
    workers: workerCount(settings),
    access: accessText(settings, users),
    faults: [...faults, ...storageFaults(storage, protections, settings), ...listening.faults],
    servedAt: listening.servedAt,
  }
}

export interface Surveyed extends Examined {
  /** Undefined where a setting that says how to get there has a fault: nothing goes there by other credentials. */
  readonly storage: PlaceReport | undefined
}

/** Looks at the settings, and then at the storage. Neither is blamed for what is wrong with the other. */
export async function survey(loaded: LoadedSettings): Promise<Surveyed> {
  const read = readNamedFiles(loaded, { before: undefined, nowMs: Date.now() })
  if (placeFaults(read.faults).length > 0) return { ...judged(loaded, read, undefined), storage: undefined }
  const place = storagePlace(loaded.settings, read.files)
  const storage = await waitedFor(place, () => inspectPlace(place)).catch(cause => {
    throw new SettingsError([cause instanceof Error ? cause.message : String(cause)])
  })
  const stored = storage.reason === undefined ? await storedAccess(place) : undefined
  return { ...judged(loaded, read, stored), storage }
}

/** What is kept there of people, machines and rules. Nothing where that cannot be read: who opens the place is told why. */
async function storedAccess(place: Place): Promise<AccessState> {
  const record = await peekAt(place, accessKey('access')).catch(() => undefined)
  return record ? decodeRecord<{ readonly value: AccessState }>(record).value : emptyState
}

export interface Examined extends Omit<ReadFiles, 'faults'> {
  /** One line each. */
  readonly faults: readonly string[]
  /** Somebody is known there, or a rule is, which closes the registry to everybody else. */
  readonly users: boolean
  /** What the settings and the stored part protect, line by line. */
  readonly protections: readonly string[]
}

/** What can be said of settings without opening the storage. */
export async function examine(loaded: LoadedSettings): Promise<Examined> {
  const read = readNamedFiles(loaded, { before: undefined, nowMs: Date.now() })
  if (placeFaults(read.faults).length > 0) return judged(loaded, read, undefined)
  return judged(loaded, read, await storedAccess(storagePlace(loaded.settings, read.files)))
}

/** `stored`: undefined where nobody could look, for a reason that is a fault by itself. */
function judged(
  { settings, sources, warnings: doubtful }: LoadedSettings,
  { files, faults, warnings }: ReadFiles,
  stored: AccessState | undefined,
): Examined {
  const { users, robots, rules, protections } = stored ?? emptyState
  const hasUsers = users.length + robots.length + rules.length > 0
  const listening = listeningFaults({
    addresses: settings.listen,
    isOpen: stored !== undefined && isOpen(settings, hasUsers),
    tls: hasTls(settings),
    insecure: settings.insecure,
  }).map(fault => `${placeOf(sources.get('listen') ?? 'default', 'listen')}: ${fault}`)
  const doubt = proxyDoubt(settings)
  const doubts = [
    ...(doubt === undefined ? [] : [{ setting: 'url', text: doubt }]),
    ...bucketDoubts(settings),
  ].map(({ setting, text }) => `${placeOf(sources.get(setting) ?? 'default', setting)}: ${text}`)
  return {
    files,
    faults: [...faults.map(({ line }) => line), ...listening],
    warnings: [...doubtful, ...warnings, ...doubts],
    users: hasUsers,
    protections: [...settings.protect, ...protections.map(({ protection }) => protection)],
  }
}

/** Of the faults of files, those that keep us from the storage. */
export function placeFaults(faults: readonly FileFault[]): string[] {
  return faults.filter(({ setting }) => setting.startsWith('storage.')).map(({ line }) => line)
}

/** Who may do what, in a few words. */
export function accessText(settings: Settings, users: boolean): string {
  const { length } = settings.access
  if (isOpen(settings, users)) return 'open: everyone on this machine may pull, push and delete'
  if (length > 0) return `as ${length} ${length === 1 ? 'rule says' : 'rules say'}`
  return 'delete ** signed-in: every user may pull, push and delete, as there is no rule'
}

/** What the server that has the folder holds is free when it ends; the same may be true of a server of the bucket. */
async function listenFaults(
  settings: Settings,
  storage: PlaceReport,
): Promise<{ readonly faults: readonly string[]; readonly servedAt: readonly BindFault[] }> {
  const isServed = storage.kind === 'folder' && storage.ownerPid !== undefined
  const found = await Promise.all(
    settings.listen.map(async address => {
      const fault = await findBindFault(address)
      if (!fault || (fault.inUse && isServed)) return []
      const mayBeOurs =
        fault.inUse && storage.kind === 'bucket' && (await isRegistry(address, hasTls(settings)))
      return [{ fault, mayBeOurs }]
    }),
  )
  const all = found.flat()
  return {
    faults: all.filter(({ mayBeOurs }) => !mayBeOurs).map(({ fault }) => fault.text),
    servedAt: all.filter(({ mayBeOurs }) => mayBeOurs).map(({ fault }) => fault),
  }
}

/** What protects relies on a change and the look before it being one: a store that cannot do that protects nothing. */
export function protectionFaults(isLax: boolean, protections: readonly string[]): string[] {
  const [first] = protections
  if (!isLax || first === undefined) return []
  return [
    `protect: "${first}" cannot be kept, as the bucket cannot compare and set (tier C): remove it, or use another store`,
  ]
}

/** Why nothing can be served from there. */
function storageFaults(
  storage: PlaceReport,
  protections: readonly string[],
  { storage: { s3 } }: Settings,
): string[] {
  if (storage.reason !== undefined) return [storage.reason]
  if (storage.kind === 'bucket')
    return [
      ...protectionFaults(storage.tier === 'C', protections),
      ...(s3.redirect !== false && storage.noRedirect !== undefined
        ? [`storage.s3.redirect: clients cannot be sent to ${storage.name}, which ${storage.noRedirect}`]
        : []),
    ]
  if (storage.writable || storage.ownerPid !== undefined) return []
  const want = storage.state === 'absent' ? 'cannot be made' : 'cannot be written to'
  return [`data folder ${storage.path} ${want}: give it to this user, or name another with --data`]
}
