/** What the settings say of access, in the forms that auth/ works with. */
import type { PrincipalName } from '../auth/access.ts'
import type { AccessSettings } from '../auth/directory.ts'
import { parseHtpasswd } from '../auth/htpasswd.ts'
import { type Protection, parseProtection } from '../auth/protections.ts'
import { parseRule, type Rule } from '../auth/rules.ts'
import type { Workload } from '../auth/workloads.ts'
import { isLocal } from './addresses.ts'
import type { Settings } from './config.ts'

export interface ConfiguredAccess {
  readonly rules: readonly Rule[]
  readonly protections: readonly Protection[]
  readonly groups: ReadonlyMap<PrincipalName, readonly PrincipalName[]>
  readonly workloads: ReadonlyMap<PrincipalName, ConfiguredWorkload>
}

export interface ConfiguredWorkload extends Workload {
  /** Where the public keys of its issuer come from. `discovery`: from where its openid-configuration says. */
  readonly keys:
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'url'; readonly url: string }
    | { readonly kind: 'discovery' }
}

/** Another object each time: whoever compares keeps it as long as the settings are the same object. */
export function accessOf(
  settings: Pick<Settings, 'access' | 'protect' | 'groups' | 'workloads'>,
): ConfiguredAccess {
  // The schema lets only names through (config-access.ts), as keys and as members.
  const groups = Object.entries(settings.groups) as [PrincipalName, readonly PrincipalName[]][]
  const workloads = Object.entries(settings.workloads) as [PrincipalName, Settings['workloads'][string]][]
  return {
    rules: settings.access.map(parseRule),
    protections: settings.protect.map(parseProtection),
    groups: new Map(groups),
    workloads: new Map(
      workloads.map(([name, { issuer, audience, match, ...keys }]) => [
        name,
        { name, issuer, audience, match, keys: keySource(keys) },
      ]),
    ),
  }
}

/** The same as the directory takes it, with the text of the password file. */
export function accessSettingsOf(settings: Settings, htpasswd: string | undefined): AccessSettings {
  const { workloads, ...rest } = accessOf(settings)
  return {
    ...rest,
    workloads: new Map([...workloads].map(([name, workload]) => [name, JSON.stringify(workload)])),
    isExposed: !settings.listen.every(isLocal),
    htpasswd: htpasswd === undefined ? new Map() : parseHtpasswd(htpasswd),
  }
}

/** No user is known and no rule is written: whoever can connect may do anything. */
export function isOpen({ login, workloads, access }: Settings, hasUsers: boolean): boolean {
  const isConfigured = login.htpasswd !== undefined || Object.keys(workloads).length + access.length > 0
  return !isConfigured && !hasUsers
}

function keySource({
  jwksFile,
  jwksUrl,
}: Pick<Settings['workloads'][string], 'jwksFile' | 'jwksUrl'>): ConfiguredWorkload['keys'] {
  if (jwksFile !== undefined) return { kind: 'file', path: jwksFile }
  return jwksUrl === undefined ? { kind: 'discovery' } : { kind: 'url', url: jwksUrl }
}
