/** The settings, read and checked: config-schema.ts has each of them. The only place that reads the environment. */
import { availableParallelism, homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { lint } from '../auth/lint.ts'
import { accessOf } from './access-settings.ts'
import { formatListenAddress } from './addresses.ts'
import { isEverybody } from './client-networks.ts'
import { schema } from './config-schema.ts'
import {
  describeIssues,
  type Environment,
  environmentSource,
  fileSource,
  flagSource,
  placeOf,
  type Setting,
  type SettingFlags,
  treeOf,
  valueAt,
} from './config-sources.ts'
import { about } from './config-values.ts'

type Checked = z.output<typeof schema>
type Named = Omit<Checked, 'trusted_proxies'> & { trustedProxies: Checked['trusted_proxies'] }
type Immutable<T> = { readonly [Key in keyof T]: T[Key] extends object ? Immutable<T[Key]> : T[Key] }

/** What was asked for, checked, with units in the names. Paths are absolute. It can be sent to another process. */
export type Settings = Immutable<Named>

export interface LoadedSettings {
  readonly settings: Settings
  /** Where each setting that is not left to its default was found: name -> `slipway.yaml:3`, a variable or a flag. */
  readonly sources: ReadonlyMap<string, string>
  /** The same for what stands inside a setting; undefined for what is left to its default. */
  readonly where: (path: readonly PropertyKey[]) => string | undefined
  /** The file that was read, as it was named. */
  readonly file: string | undefined
  /** What is accepted and most likely not meant, one line each. */
  readonly warnings: readonly string[]
}

/** What is wrong with the settings, all of it, one line each. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
  readonly faults: readonly string[]
  /** Whether a flag is among what is wrong: each fault begins with the place where it stands. */
  readonly isMisuse: boolean

  constructor(faults: readonly string[]) {
    super(faults.join('\n'))
    this.faults = faults
    this.isMisuse = faults.some(fault => fault.startsWith('--'))
  }
}

export interface LoadOptions {
  readonly flags?: SettingFlags
  readonly env?: Environment
  readonly cwd?: string
}

/** Where Docker's clients keep what they know of registries. */
export function dockerFolder(env: Environment = process.env): string {
  return env.DOCKER_CONFIG || join(homedir(), '.docker')
}

/** Reads the settings: a flag beats the environment, which beats the file. Throws SettingsError. */
export function loadSettings(options: LoadOptions = {}): LoadedSettings {
  const { flags = {}, env = process.env, cwd = process.cwd() } = options
  const file = fileSource(flags, env, cwd)
  const strongestFirst = [
    flagSource(settingList, flags, cwd),
    environmentSource(settingList, env, cwd),
    ...(file ? [file] : []),
  ]
  // Each source is checked whole: what another one overrides is to be right too.
  refuse(
    strongestFirst.flatMap(source => {
      const { error } = schema.safeParse(source.tree, { reportInput: true })
      return [...source.faults, ...describeIssues(source, error?.issues ?? [], settingList)]
    }),
  )
  const origins = new Map(
    settingList.flatMap(setting => {
      const source = strongestFirst.find(({ tree }) => valueAt(tree, setting.path) !== undefined)
      return source ? [[setting.name, { source, where: source.where(setting.path) }] as const] : []
    }),
  )
  refuse(twoPlaces(flags))
  // A flag is the strongest word: the folder that it names is meant, whatever else names a bucket.
  const isUnused = ({ path }: Setting) => flags.data !== undefined && path[0] === 'storage'
  const checked = schema.parse(
    treeOf(settingList, setting =>
      isUnused(setting) ? undefined : valueAt(origins.get(setting.name)?.source.tree, setting.path),
    ),
  )
  const absolute = (name: string, path: string) =>
    resolve((origins.get(name)?.source ?? file)?.folder ?? cwd, path)
  const settings = withAbsolutePaths(checked, absolute)
  const sources = new Map([...origins].map(([name, { where }]) => [name, where]))
  // What stands inside a setting has a line of its own.
  const where = (path: readonly PropertyKey[]) => {
    const origin = settingList.find(setting => setting.path.every((word, depth) => word === path[depth]))
    return origins.get(origin?.name ?? '')?.source.where(path)
  }
  const placed = ({ path, fault }: Fault) => {
    const name = path.filter(word => typeof word !== 'number').join('.')
    return `${placeOf(where(path) ?? 'default', name)}: ${fault}`
  }
  refuse(conflicts(settings).map(placed))
  const findings = lint({ ...accessOf(settings), nowMs: Date.now() }).map(
    ({ severity, at, message, about }) => ({
      severity,
      line: placed({ path: at, fault: at[0] === 'access' ? `${about}: ${message}` : message }),
    }),
  )
  const told = (which: string) =>
    findings.filter(({ severity }) => severity === which).map(({ line }) => line)
  refuse(told('error'))
  return { settings, sources, where, file: file?.where([]), warnings: told('warning') }
}

function withAbsolutePaths(checked: Checked, absolute: (name: string, path: string) => string): Settings {
  const { data, storage, tls, login, workloads, trusted_proxies, ...rest } = checked
  const file = (name: string, path: string | undefined) => (path === undefined ? path : absolute(name, path))
  return {
    ...rest,
    trustedProxies: trusted_proxies,
    data: absolute('data', data),
    storage: {
      s3: {
        ...storage.s3,
        secretAccessKeyFile: file('storage.s3.secret_access_key_file', storage.s3.secretAccessKeyFile),
      },
    },
    tls: { cert: file('tls.cert', tls.cert), key: file('tls.key', tls.key) },
    login: { htpasswd: file('login.htpasswd', login.htpasswd) },
    workloads: Object.fromEntries(
      Object.entries(workloads).map(([name, workload]) => [
        name,
        { ...workload, jwksFile: file('workloads', workload.jwksFile) },
      ]),
    ),
  }
}

/** Every setting there is, in the order of the documentation. */
export const settingList: readonly Setting[] = [...settingsIn(schema, [])]

/** Names of the settings whose change a running server takes on SIGHUP. */
export const reloadable: readonly string[] = settingList
  .filter(setting => setting.reloadable)
  .map(({ name }) => name)

export interface SettingChanges {
  /** Names of the settings that differ and are taken on SIGHUP. */
  readonly taken: readonly string[]
  /** Names of those that differ and take a restart. */
  readonly needRestart: readonly string[]
}

export function settingChanges(before: Settings, after: Settings): SettingChanges {
  const waits = ({ path, reloadable }: Setting) =>
    !reloadable || (path[0] === 'tls' && hasTls(before) !== hasTls(after))
  const changed = settingList.filter(
    ({ path }) => !isDeepStrictEqual(settingIn(before, path), settingIn(after, path)),
  )
  const [needRestart, taken] = [changed.filter(waits), changed.filter(setting => !waits(setting))]
  return { taken: taken.map(({ name }) => name), needRestart: needRestart.map(({ name }) => name) }
}

/** The value of a setting; in Settings `upload_ttl` is called `uploadTtlMs`. */
function settingIn(settings: object, path: readonly string[]): unknown {
  return path.reduce<unknown>((section = {}, word) => {
    const name = word.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
    const keys = Object.keys(section as object)
    return valueAt(section, [keys.find(key => key.replace(/(?:Bytes|Ms)$/, '') === name) ?? name])
  }, settings)
}

/** Settings as a running server takes them: those that need a restart stay. */
export function reloaded(before: Settings, after: Settings): Settings {
  const { listen, url, insecure, data, storage, workers, durability } = before
  const tls = hasTls(before) === hasTls(after) ? after.tls : before.tls
  const { redirect } = after.storage.s3
  const place = { s3: { ...storage.s3, redirect } }
  return { ...after, listen, url, insecure, data, storage: place, workers, durability, tls }
}

export const hasTls = ({ tls }: Pick<Settings, 'tls'>): boolean => tls.cert !== undefined

/** How many processes `workers` means on this machine. */
export function workerCount({ workers }: Settings): number {
  return workers === 'auto' ? Math.min(availableParallelism(), 64) : workers
}

interface Fault {
  readonly path: readonly PropertyKey[]
  readonly fault: string
}

/** What each setting allows but all of them together do not. */
function conflicts({ listen, storage: { s3 }, tls, insecure, trustedProxies, tokens }: Settings): Fault[] {
  const fixed = listen.filter(address => address.kind === 'unix' || address.port > 0).map(formatListenAddress)
  const twice = new Set(fixed.filter((address, index) => fixed.indexOf(address) !== index))
  const fault = (name: string, text: string) => [{ path: name.split('.'), fault: text }]
  const hasTls = tls.cert !== undefined && tls.key !== undefined
  return [
    ...[...twice].flatMap(address => fault('listen', `${address} is there twice; once is accepted`)),
    ...s3Conflicts(s3).flatMap(([name, text]) => fault(`storage.s3.${name}`, text)),
    ...(tls.cert !== undefined && !hasTls ? fault('tls.cert', 'its key is missing: set tls.key too') : []),
    ...(tls.key !== undefined && !hasTls
      ? fault('tls.key', 'its certificate is missing: set tls.cert too')
      : []),
    ...(insecure && hasTls
      ? fault('insecure', 'tls is set too, and all is encrypted: remove one of them')
      : []),
    ...trustedProxies
      .filter(isEverybody)
      .flatMap(each =>
        fault(
          'trusted_proxies',
          `${each} is everybody, who could then give any address as their own: name the proxies`,
        ),
      ),
    ...(tokens.defaultTtlMs > tokens.maxTtlMs
      ? fault('tokens.default_ttl', 'is longer than tokens.max_ttl: shorten it, or allow more there')
      : []),
  ]
}

function s3Conflicts({
  bucket,
  endpoint,
  accessKeyId,
  secretAccessKey,
  secretAccessKeyFile,
}: Settings['storage']['s3']): (readonly [name: string, text: string])[] {
  const hasSecret = secretAccessKey !== undefined || secretAccessKeyFile !== undefined
  const secretName = secretAccessKey === undefined ? 'secret_access_key_file' : 'secret_access_key'
  return [
    ...(bucket === undefined && endpoint !== undefined
      ? [['endpoint', 'its bucket is missing: set storage.s3.bucket too'] as const]
      : []),
    ...(bucket === undefined && accessKeyId !== undefined
      ? [['access_key_id', 'its bucket is missing: set storage.s3.bucket too'] as const]
      : []),
    ...(secretAccessKey !== undefined && secretAccessKeyFile !== undefined
      ? [['secret_access_key', 'secret_access_key_file is set too: remove one of them'] as const]
      : []),
    ...(accessKeyId !== undefined && !hasSecret
      ? [['access_key_id', 'its secret is missing: set secret_access_key_file too'] as const]
      : []),
    ...(accessKeyId === undefined && hasSecret
      ? [[secretName, 'its key is missing: set access_key_id too'] as const]
      : []),
  ]
}

function twoPlaces({ data, storage }: SettingFlags): string[] {
  if (data === undefined || storage === undefined) return []
  return ['--data: --storage is given too, and one place holds everything: leave one of them away']
}

function refuse(faults: readonly string[]): void {
  if (faults.length > 0) throw new SettingsError(faults)
}

/** The settings of a schema are where it is registered with `about`. */
function* settingsIn(node: z.core.$ZodType, path: readonly string[]): Generator<Setting> {
  const known = about.get(node)
  if (known) {
    const name = path.join('.')
    const env = `SLIPWAY_${path.join('_').toUpperCase()}`
    const value = node instanceof z.ZodPrefault ? String(node.def.defaultValue) : undefined
    yield { ...known, path, name, env, default: value }
  } else if (node instanceof z.ZodObject) {
    for (const [key, child] of Object.entries(node.shape)) yield* settingsIn(child, [...path, key])
  } else if (node instanceof z.ZodPipe) {
    yield* settingsIn(node.in, path)
  } else if (node instanceof z.ZodPrefault) {
    yield* settingsIn(node.unwrap(), path)
  }
}
