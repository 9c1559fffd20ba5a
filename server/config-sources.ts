/** Where settings come from, and how a fault in one of them is said. What a schema demands is config.ts's matter. */
import { resolve } from 'node:path'
import type { z } from 'zod'
import { type ConfigFile, readConfigFile } from './config-file.ts'
import { nearest } from './nearest.ts'

/** What is known about a setting beside its type and default. */
export interface About {
  /** Completes "expected …, found …". */
  readonly accepts: string
  readonly does: string
  readonly flag?: 'listen' | 'data' | 'storage' | 'log-level'
  /** What is found in its place is not shown. */
  readonly secret?: true
  /** A running server takes a changed value on SIGHUP. */
  readonly reloadable?: true
  /** What stands inside the entries of a list or a section, and what is accepted there. */
  readonly fields?: Readonly<Record<string, string>>
}

export interface Setting extends About {
  readonly path: readonly string[]
  /** The path with dots. */
  readonly name: string
  readonly env: string
  /** As one would write it in the file; undefined when there is none. */
  readonly default: string | undefined
}

/** The values of flags, under their names. A flag that is given twice is a list. */
export interface SettingFlags {
  readonly config?: string | undefined
  readonly listen?: string | readonly string[] | undefined
  readonly data?: string | undefined
  readonly storage?: string | undefined
  readonly 'log-level'?: string | undefined
}

export type Environment = Readonly<Record<string, string | undefined>>

/** One place that says something about settings, in the shape of the file. */
export interface Source extends ConfigFile {
  /** What relative paths in it start from. */
  readonly folder: string
}

/** Names that mean something, but not yet. */
const planned: ReadonlyMap<string, string> = new Map([
  ['login.oidc', 'login by OIDC is not there yet: it comes with the pages for people'],
])

const prefix = 'SLIPWAY_'
/** Names the file of settings; not a setting itself. */
const fileVariable = 'SLIPWAY_CONFIG'
const usualFile = 'slipway.yaml'

/** The file of settings, if there is one. */
export function fileSource(flags: SettingFlags, env: Environment, cwd: string): Source | undefined {
  const named = flags.config ?? env[fileVariable]
  const path = resolve(cwd, named ?? usualFile)
  if (named === '') {
    const name = flags.config === undefined ? fileVariable : '--config'
    return { ...given({}, () => name, cwd), faults: [`${name}: expected the path of a YAML file, found ""`] }
  }
  const file = readConfigFile(path, named ?? usualFile, named !== undefined)
  // The same file means the same registry, wherever the command that reads it is started.
  return file && { ...file, folder: resolve(path, '..') }
}

export function environmentSource(settings: readonly Setting[], env: Environment, cwd: string): Source {
  const known = [fileVariable, ...settings.map(setting => setting.env)].map(name => name.slice(prefix.length))
  const faults = Object.entries(env).flatMap(([variable, value = '']) => {
    const name = variable.startsWith(prefix) ? variable.slice(prefix.length) : undefined
    if (name === undefined || known.includes(name) || isServiceLink(variable, value)) return []
    const meant = flagged(settings, name.toLowerCase())
    return [
      `${variable}: ${meant ? `no such setting; did you mean ${meant.env}?` : noSuchSetting(prefix, name, known)}`,
    ]
  })
  const where = (path: readonly PropertyKey[]) => settingAt(settings, path)?.env ?? 'environment'
  return {
    ...given(
      treeOf(settings, setting => env[setting.env]),
      where,
      cwd,
    ),
    faults,
  }
}

export function flagSource(settings: readonly Setting[], flags: SettingFlags, cwd: string): Source {
  const tree = treeOf(settings, setting => setting.flag && flags[setting.flag])
  return given(tree, path => `--${settingAt(settings, path)?.flag ?? ''}`, cwd)
}

/** What a schema found wrong with a source, one line each. */
export function describeIssues(
  source: Source,
  issues: readonly z.core.$ZodIssue[],
  settings: readonly Setting[],
): string[] {
  return issues.flatMap(issue => {
    const setting = settingAt(settings, issue.path)
    // Which entry of a list it is, the line says.
    const words = issue.path.filter(word => typeof word !== 'number').map(String)
    const name = words.join('.')
    const line = (says: string) => `${placeOf(source.where(issue.path), name)}: ${says}`
    if (issue.code === 'unrecognized_keys') {
      const section = words.map(word => `${word}.`).join('')
      const known = setting?.fields ? Object.keys(setting.fields) : keysAt(settings, issue.path)
      return issue.keys.map(key => {
        const where = source.where([...issue.path, key])
        return `${where}: ${section}${key}: ${planned.get(section + key) ?? noSuchSetting(section, key, known)}`
      })
    }
    // A section whose every line is commented out.
    if (setting === undefined && issue.input === null) return []
    // What reports in its own words (config-access.ts) says it all.
    if (issue.code === 'custom' && typeof issue.params?.fault === 'string') return line(issue.params.fault)
    const accepts =
      acceptedInside(setting, issue.path) ??
      setting?.accepts ??
      `settings (${keysAt(settings, issue.path).join(', ')})`
    const says = `expected ${accepts}, found ${found(issue.input, setting?.secret === true)}`
    const meant =
      setting === undefined && typeof issue.input === 'string' ? flagged(settings, name) : undefined
    return line(meant ? `${says}; did you mean ${meant.name}?` : says)
  })
}

/** Where a setting stands, and its name unless that is the flag's. */
export function placeOf(where: string, name: string): string {
  return name === '' || where.startsWith('--') ? where : `${where}: ${name}`
}

/** The value that a source has for a setting. */
export function valueAt(tree: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    // Reflect.get takes any object; that this is one was just seen.
    (node, key) =>
      typeof node === 'object' && node !== null && Object.hasOwn(node, key)
        ? Reflect.get(node, key)
        : undefined,
    tree,
  )
}

/** The values that `pick` has for settings, in the shape of the file. */
export function treeOf(settings: readonly Setting[], pick: (setting: Setting) => unknown): object {
  const grow = (depth: number, inside: readonly Setting[]): object => {
    const branches = [...Map.groupBy(inside, ({ path }) => path[depth] ?? '')].map(([key, group]) => {
      const leaf = group.find(({ path }) => path.length === depth + 1)
      return [key, leaf ? pick(leaf) : grow(depth + 1, group)] as const
    })
    return Object.fromEntries(branches.filter(([, value]) => value !== undefined))
  }
  return grow(0, settings)
}

function given(tree: unknown, where: Source['where'], folder: string): Source {
  return { tree, faults: [], where, folder }
}

/** The setting that a path leads to, or into. */
function settingAt(settings: readonly Setting[], path: readonly PropertyKey[]): Setting | undefined {
  return settings.find(setting => setting.path.every((key, depth) => key === path[depth]))
}

/** What is accepted as a field of an entry: `workloads.NAME.issuer`, or `until` of a rule in a list. */
function acceptedInside(setting: Setting | undefined, path: readonly PropertyKey[]): string | undefined {
  const field = setting && path[setting.path.length + 1]
  return typeof field === 'string' && Object.hasOwn(setting?.fields ?? {}, field)
    ? setting?.fields?.[field]
    : undefined
}

/** The setting that the command line calls so, where settings call it otherwise. */
function flagged(settings: readonly Setting[], word: string): Setting | undefined {
  return settings.find(({ flag }) => flag === word)
}

/** What may stand in a section. */
function keysAt(settings: readonly Setting[], section: readonly PropertyKey[]): string[] {
  const inside = settings.filter(({ path }) => section.every((key, depth) => key === path[depth]))
  return [...new Set(inside.flatMap(({ path }) => path[section.length] ?? []))]
}

/** `known` and `name` go without the prefix, lest it make everything look alike. */
function noSuchSetting(prefix: string, name: string, known: readonly string[]): string {
  const near = nearest(name, known)
  if (near !== undefined) return `no such setting; did you mean ${prefix}${near}?`
  return `no such setting; known: ${known.map(other => prefix + other).join(', ')}`
}

/** Variables that Kubernetes sets in every pod for a service called slipway or slipway-something. */
function isServiceLink(name: string, value: string): boolean {
  return /_SERVICE_(?:HOST|PORT(?:_[A-Z0-9_]+)?)$/.test(name) || isPortLink(name, value)
}

function isPortLink(name: string, value: string): boolean {
  if (/_PORT_\d+_(?:TCP|UDP|SCTP)_(?:PROTO|PORT|ADDR)$/.test(name)) return true
  return /_PORT(?:_\d+_(?:TCP|UDP|SCTP))?$/.test(name) && /^(?:tcp|udp|sctp):\/\//.test(value)
}

function found(value: unknown, isSecret: boolean): string {
  if (value === undefined || value === null) return 'nothing'
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'a section'
  if (isSecret && value !== '') return `a ${typeof value}`
  // The password of an address, which nobody should have put there.
  const text = JSON.stringify(value).replace(/(\/\/[^/@:]*):[^@]*@/, '$1:…@')
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}
