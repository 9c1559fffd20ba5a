/** Prints what `serve` would do. Ends with `found` when it would refuse. */
import { formatListenAddress } from '../server/addresses.ts'
import { expiryOf } from '../server/certificate.ts'
import { loadSettings, type Settings, SettingsError } from '../server/config.ts'
import type { SettingFlags } from '../server/config-sources.ts'
import { planServe, type ServePlan } from '../server/plan.ts'
import { formatDuration, formatSize, roundSize } from '../server/units.ts'
import type { Outcome } from './command.ts'

interface Output {
  readonly json: boolean
  print(text: string): void
}

export async function check(flags: SettingFlags, { json, print }: Output): Promise<Outcome> {
  try {
    const plan = await planServe(loadSettings({ flags }))
    print(json ? toJson(plan) : toText(plan))
    return plan.faults.length > 0 ? 'found' : 'done'
  } catch (error) {
    if (!(error instanceof SettingsError) || error.isMisuse) throw error
    print(json ? JSON.stringify({ ok: false, faults: error.faults }) : faultsToText(error.faults))
    return 'found'
  }
}

/** How each setting reads, in the order it is printed. */
export const settingTexts: Readonly<Record<string, (plan: ServePlan) => string>> = {
  listen: ({ settings }) => settings.listen.map(formatListenAddress).join(', '),
  url: ({ settings }) => settings.url ?? 'not set',
  'tls.cert': ({ settings, files }) =>
    settings.tls.cert === undefined ? 'not set' : `${settings.tls.cert}${validity(files.certificate)}`,
  'tls.key': ({ settings }) => settings.tls.key ?? 'not set',
  insecure: ({ settings }) => `${settings.insecure}`,
  trusted_proxies: ({ settings }) => settings.trustedProxies.join(', ') || 'none',
  data: ({ folder }) => folder.path,
  workers: ({ settings, workers }) =>
    settings.workers === 'auto' ? `auto: ${workers} on this machine` : `${workers}`,
  durability: ({ settings }) => meanings.durability[settings.durability],
  sparse: ({ settings }) => meanings.sparse[settings.sparse],
  'login.htpasswd': ({ settings }) => settings.login.htpasswd ?? 'not set',
  groups: ({ settings }) => Object.keys(settings.groups).join(', ') || 'none',
  access: ({ settings }) => counted(settings.access.length, 'rule'),
  protect: ({ settings }) => counted(settings.protect.length, 'protection'),
  workloads: ({ settings }) => Object.keys(settings.workloads).join(', ') || 'none',
  'tokens.max_ttl': ({ settings }) => formatDuration(settings.tokens.maxTtlMs),
  'tokens.default_ttl': ({ settings }) => formatDuration(settings.tokens.defaultTtlMs),
  'limits.manifest': ({ settings }) => formatSize(settings.limits.manifestBytes),
  'limits.uploads_per_user': ({ settings }) => `${settings.limits.uploadsPerUser}`,
  'limits.upload_ttl': ({ settings }) => formatDuration(settings.limits.uploadTtlMs),
  'limits.requests_per_minute': ({ settings }) => `${settings.limits.requestsPerMinute ?? 'off'}`,
  'log.level': ({ settings }) => settings.log.level,
}

const counted = (count: number, what: string) =>
  count === 0 ? 'none' : `${count} ${what}${count === 1 ? '' : 's'}`

const validity = (certificate: ServePlan['files']['certificate']) =>
  certificate ? `; valid until ${expiryOf(certificate).toISOString().slice(0, 10)}` : ''

const meanings = {
  durability: {
    full: 'full: what was acknowledged survives a power cut',
    relaxed: 'relaxed: a power cut may take the last links and tags',
  },
  sparse: {
    none: 'none: all that a manifest names must be here',
    index: 'index: images of an index may be missing',
    any: 'any: whatever a manifest names may be missing',
  },
} as const satisfies { [Name in 'durability' | 'sparse']: Record<Settings[Name], string> }

const stateTexts = {
  absent: 'not there; serve makes it',
  empty: 'empty; serve starts a registry in it',
  registry: 'a registry',
  foreign: 'something else than a registry',
  newer: 'a registry of a newer version',
} as const satisfies Record<ServePlan['folder']['state'], string>

function toText(plan: ServePlan): string {
  const { sources, folder } = plan
  const rows: (readonly [name: string, text: string, source?: string | undefined])[] = [
    ['settings', plan.file ?? 'no file; defaults where nothing else is said'],
    ['who may', plan.access],
    ...Object.entries(settingTexts).map(([name, text]) => [name, text(plan), sources.get(name)] as const),
  ]
  const state = `${stateTexts[folder.state]}; ${roundSize(folder.freeBytes)} free`
  const names = Math.max(...rows.map(([name]) => name.length))
  const texts = Math.max(...rows.filter(([, , source]) => source).map(([, text]) => text.length))
  const lines = rows.flatMap(([name, text, source]) => [
    `${name.padEnd(names)}  ${source ? `${text.padEnd(texts)}  (${source})` : text}`,
    ...(name === 'data' ? [`${''.padEnd(names)}  ${state}`] : []),
  ])
  const warnings = plan.warnings.map(warning => `warning: ${warning}`)
  return [
    ...lines,
    '',
    ...warnings,
    plan.faults.length > 0 ? faultsToText(plan.faults) : verdict(folder),
  ].join('\n')
}

function verdict({ ownerPid }: ServePlan['folder']): string {
  if (ownerPid === undefined) return 'ok: serve would start'
  return `ok: process ${ownerPid} serves this folder; another serve would be refused until it ends`
}

function faultsToText(faults: readonly string[]): string {
  return [
    ...faults,
    `${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}: serve would refuse to start`,
  ].join('\n')
}

function toJson({ settings, sources, file, folder, workers, access, faults, warnings }: ServePlan): string {
  return JSON.stringify({
    ok: faults.length === 0,
    faults,
    warnings,
    file: file ?? null,
    settings,
    workers,
    sources: Object.fromEntries(sources),
    folder,
    access,
  })
}
