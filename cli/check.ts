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
  data: ({ settings }) => settings.data,
  'storage.s3.bucket': ({ storage }) => (storage.kind === 'bucket' ? storage.name : 'not set'),
  'storage.s3.endpoint': ({ settings }) => settings.storage.s3.endpoint ?? 'not set',
  'storage.s3.region': ({ settings }) => settings.storage.s3.region,
  'storage.s3.path_style': ({ settings }) => `${settings.storage.s3.pathStyle}`,
  'storage.s3.access_key_id': ({ settings }) => settings.storage.s3.accessKeyId ?? 'not set',
  'storage.s3.secret_access_key': ({ settings }) =>
    settings.storage.s3.secretAccessKey === undefined ? 'not set' : 'set',
  'storage.s3.secret_access_key_file': ({ settings }) => settings.storage.s3.secretAccessKeyFile ?? 'not set',
  'storage.s3.redirect': ({ settings: { storage } }) => {
    const { redirect } = storage.s3
    return typeof redirect === 'boolean' ? `${redirect}` : `true, but for ${redirect.join(', ')}`
  },
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
  unreachable: 'cannot be used',
} as const satisfies Record<ServePlan['storage']['state'], string>

function toText(plan: ServePlan): string {
  const { sources, storage } = plan
  const rows: (readonly [name: string, text: string, source?: string | undefined])[] = [
    ['settings', plan.file ?? 'no file; defaults where nothing else is said'],
    ['who may', plan.access],
    ...Object.entries(settingTexts).flatMap(([name, text]) => {
      const source = sources.get(name)
      if (counts(name, storage, source)) return [[name, text(plan), source] as const]
      return source === undefined ? [] : [[name, `not used with a ${storage.kind}`, source] as const]
    }),
  ]
  const state =
    storage.kind === 'folder'
      ? `${stateTexts[storage.state]}; ${roundSize(storage.freeBytes)} free`
      : `${stateTexts[storage.state]}${storage.tier ? `; tier ${storage.tier}` : ''}`
  const stateRow = storage.kind === 'folder' ? 'data' : 'storage.s3.bucket'
  const names = Math.max(...rows.map(([name]) => name.length))
  const texts = Math.max(...rows.filter(([, , source]) => source).map(([, text]) => text.length))
  const lines = rows.flatMap(([name, text, source]) => [
    `${name.padEnd(names)}  ${source ? `${text.padEnd(texts)}  (${source})` : text}`,
    ...(name === stateRow ? [`${''.padEnd(names)}  ${state}`] : []),
  ])
  const warnings = plan.warnings.map(warning => `warning: ${warning}`)
  return [...lines, '', ...warnings, plan.faults.length > 0 ? faultsToText(plan.faults) : verdict(plan)].join(
    '\n',
  )
}

/** Whether a setting means anything where things are kept. */
function counts(name: string, { kind }: ServePlan['storage'], source: string | undefined): boolean {
  if (kind === 'bucket') return name !== 'data' && name !== 'durability'
  // A bucket that is set and not used is one that --data has replaced.
  return !name.startsWith('storage.s3.') || (name === 'storage.s3.bucket' && source === undefined)
}

function verdict({ storage, servedAt }: ServePlan): string {
  if (servedAt.length > 0) {
    const addresses = servedAt.map(({ address }) => address).join(', ')
    return `ok: a registry answers at ${addresses}, which may be that of this bucket; another serve would be refused until it ends`
  }
  const ownerPid = storage.kind === 'folder' ? storage.ownerPid : undefined
  if (ownerPid === undefined) return 'ok: serve would start'
  return `ok: process ${ownerPid} serves this folder; another serve would be refused until it ends`
}

function faultsToText(faults: readonly string[]): string {
  return [
    ...faults,
    `${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}: serve would refuse to start`,
  ].join('\n')
}

/** What is printed may be kept in logs. */
function withoutSecret({ storage: { s3 }, ...settings }: Settings): object {
  const { secretAccessKey, ...rest } = s3
  return { ...settings, storage: { s3: { ...rest, hasSecretAccessKey: secretAccessKey !== undefined } } }
}

function toJson(plan: ServePlan): string {
  const { settings, sources, file, storage, workers, access, faults, warnings, servedAt } = plan
  return JSON.stringify({
    ok: faults.length === 0,
    faults,
    warnings,
    file: file ?? null,
    settings: withoutSecret(settings),
    workers,
    sources: Object.fromEntries(sources),
    storage,
    access,
    ...(servedAt.length > 0 && { servedAt: servedAt.map(({ address }) => address) }),
  })
}
