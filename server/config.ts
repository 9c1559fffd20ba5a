/**
 * The settings: one schema is their types, their defaults and (through docs/configuration.ts) their documentation.
 * The only place that reads the environment.
 */
import { availableParallelism, homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { formatListenAddress, isLocal, parseListenAddress } from './addresses.ts'
import {
  type About,
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
import { inRange, listOf, parsedBy, parseOrigin, wholeNumber } from './config-values.ts'
import { parseDuration, parseSize } from './units.ts'

const about = z.registry<About>()

const schema = z.strictObject({
  listen: listOf(parseListenAddress)
    .prefault('127.0.0.1:5000')
    .register(about, {
      accepts: 'host:port, [::1]:port or unix:/path, or a list of them',
      does:
        'Where to listen. Several addresses are a list, or stand in one line with commas between. Port 0 takes one ' +
        'that is free. YAML wants quotes around an address with brackets. Only addresses that no other machine can ' +
        'reach are accepted: loopback and unix sockets.',
      flag: 'listen',
    }),
  url: parsedBy(parseOrigin)
    .optional()
    .register(about, {
      accepts: 'http:// or https:// and a host, without a path',
      does:
        'What clients call this registry, such as https://reg.acme.dev. Set it when a proxy stands before it: links ' +
        'in answers begin with it, and never with what a request claims in its Host header. Then all clients are to use ' +
        'it: one that pushes through another address is sent to this one for its uploads.',
    }),
  data: z
    .string()
    .min(1)
    .prefault('./data')
    .register(about, {
      accepts: 'the path of a folder',
      does:
        'The folder that holds everything. A relative path starts at the folder of the configuration file; on the ' +
        'command line, in the environment, or without such a file, at the working directory.',
      flag: 'data',
    }),
  workers: parsedBy(text => (text === 'auto' ? text : wholeNumber(1, 64)(text)))
    .prefault('auto')
    .register(about, {
      accepts: 'auto or a number from 1 to 64',
      does: 'How many processes answer requests; auto is one for each core.',
    }),
  durability: z
    .enum(['full', 'relaxed'])
    .prefault('full')
    .register(about, {
      accepts: 'full or relaxed',
      does:
        'full: what was acknowledged survives a power cut. relaxed: links and tags are not forced to disk, which is ' +
        'faster; after a power cut the last seconds of them may be gone, and pushing again brings them back.',
    }),
  sparse: z
    .enum(['none', 'index', 'any'])
    .prefault('index')
    .register(about, {
      accepts: 'none, index or any',
      does:
        'What a manifest may name without it being here. none: nothing; index: images of an index, as in a copy of ' +
        'some platforms; any: layers too.',
      reloadable: true,
    }),
  limits: z
    .strictObject({
      manifest: parsedBy(inRange(parseSize, 4 * 2 ** 20, 64 * 2 ** 20))
        .prefault('4MiB')
        .register(about, {
          accepts: 'a size from 4MiB to 64MiB',
          does: 'The largest manifest that may be pushed.',
          reloadable: true,
        }),
      uploads_per_user: parsedBy(wholeNumber(1, 100_000)).prefault('100').register(about, {
        accepts: 'a number from 1 to 100000',
        does: 'How many unfinished uploads that hold something one user may have. While nobody has a name, all share it.',
        reloadable: true,
      }),
      upload_ttl: parsedBy(inRange(parseDuration, 1_000, 365 * 86_400_000))
        .prefault('24h')
        .register(about, {
          accepts: 'a time from 1s to 365d',
          does: 'Unfinished uploads to which nothing was added for longer than this are removed.',
          reloadable: true,
        }),
    })
    .prefault({})
    .transform(({ manifest, uploads_per_user, upload_ttl }) => ({
      manifestBytes: manifest,
      uploadsPerUser: uploads_per_user,
      uploadTtlMs: upload_ttl,
    })),
  log: z
    .strictObject({
      level: z.enum(['trace', 'debug', 'info', 'warn', 'error']).prefault('info').register(about, {
        accepts: 'trace, debug, info, warn or error',
        does: 'The least important messages that are written.',
        flag: 'log-level',
        reloadable: true,
      }),
    })
    .prefault({}),
})

type Immutable<T> = { readonly [Key in keyof T]: T[Key] extends object ? Immutable<T[Key]> : T[Key] }

/** What was asked for, checked, with units in the names. `data` is absolute. */
export type Settings = Immutable<z.output<typeof schema>>

export interface LoadedSettings {
  readonly settings: Settings
  /** Where each setting that is not left to its default was found: name -> `slipway.yaml:3`, a variable or a flag. */
  readonly sources: ReadonlyMap<string, string>
  /** The file that was read, as it was named. */
  readonly file: string | undefined
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
  const checked = schema.parse(
    treeOf(settingList, ({ name, path }) => valueAt(origins.get(name)?.source.tree, path)),
  )
  const folder = (origins.get('data')?.source ?? file)?.folder ?? cwd
  const settings = { ...checked, data: resolve(folder, checked.data) }
  const sources = new Map([...origins].map(([name, { where }]) => [name, where]))
  refuse(
    conflicts(settings).map(
      ({ name, fault }) => `${placeOf(sources.get(name) ?? 'default', name)}: ${fault}`,
    ),
  )
  return { settings, sources, file: file?.where([]) }
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
  const changed = settingList.filter(
    ({ path }) => !isDeepStrictEqual(settingIn(before, path), settingIn(after, path)),
  )
  const names = (wanted: boolean) =>
    changed.filter(({ reloadable = false }) => reloadable === wanted).map(({ name }) => name)
  return { taken: names(true), needRestart: names(false) }
}

/** The value of a setting; in Settings `upload_ttl` is called `uploadTtlMs`. */
function settingIn(settings: object, path: readonly string[]): unknown {
  return path.reduce<unknown>((section = {}, word) => {
    const name = word.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
    const keys = Object.keys(section as object)
    return valueAt(section, [keys.find(key => key.replace(/(?:Bytes|Ms)$/, '') === name) ?? name])
  }, settings)
}

/** How many processes `workers` means on this machine. */
export function workerCount({ workers }: Settings): number {
  return workers === 'auto' ? Math.min(availableParallelism(), 64) : workers
}

/** What each setting allows but all of them together do not. */
function conflicts({ listen }: Settings): { name: string; fault: string }[] {
  const open = listen.filter(address => !isLocal(address)).map(formatListenAddress)
  const fixed = listen.filter(address => address.kind === 'unix' || address.port > 0).map(formatListenAddress)
  const twice = new Set(fixed.filter((address, index) => fixed.indexOf(address) !== index))
  return [
    ...open.map(address => ({
      name: 'listen',
      fault:
        `${address} is open to other machines, and this version serves this machine only: listen on 127.0.0.1 ` +
        'and put a proxy with TLS and authentication before it',
    })),
    ...[...twice].map(address => ({ name: 'listen', fault: `${address} is there twice; once is accepted` })),
  ]
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
