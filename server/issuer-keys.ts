/** The public keys of those who sign workloads' tokens: from a file, or fetched and kept for a while. */
import type { KeySet } from '../auth/jwt.ts'
import type { IssuerKeys } from '../auth/workloads.ts'
import { RegistryError } from '../oci/errors.ts'
import type { ConfiguredAccess } from './access-settings.ts'
import type { NamedFiles } from './named-files.ts'

export interface IssuerKeysSource {
  /** What is configured at this moment. */
  readonly access: () => ConfiguredAccess
  readonly files: () => NamedFiles
}

interface Fetched {
  readonly keys: Promise<KeySet>
  /** Then they are asked for again. */
  readonly untilMs: number
}

/** Milliseconds that never go back. */
const now = () => performance.now()

/** An issuer publishes a new key a day or more before it signs with it. */
const keptMs = 10 * 60_000
/** One that cannot be reached is asked again after this; until then what was fetched last is used. */
const retryMs = 30_000
const patienceMs = 10_000
const maxBytes = 256 * 1024

/**
 * Throws ISSUER_UNAVAILABLE, which tells a client to come again, while an issuer cannot be reached. Redirects are not
 * followed: the address of keys is as much a matter of trust as they are.
 */
export function issuerKeys({ access, files }: IssuerKeysSource): IssuerKeys {
  const latest = new Map<string, Fetched>()
  const good = new Map<string, KeySet>()

  function kept(url: string, get: () => Promise<KeySet>): Promise<KeySet> {
    const found = latest.get(url)
    if (found && now() < found.untilMs) return found.keys
    const before = good.get(url)
    const keys = get().then(
      set => {
        good.set(url, set)
        return set
      },
      error => {
        latest.set(url, { keys, untilMs: now() + retryMs })
        if (before) return before
        throw new RegistryError('ISSUER_UNAVAILABLE', {
          cause: error,
          headers: { 'Retry-After': String(retryMs / 1000) },
        })
      },
    )
    // Whoever waits for it hears of its failure.
    keys.catch(() => {})
    latest.set(url, { keys, untilMs: now() + keptMs })
    return keys
  }

  return async ({ name, issuer }) => {
    const source = access().workloads.get(name)?.keys ?? { kind: 'discovery' }
    switch (source.kind) {
      case 'file': {
        const set = files().keySets[source.path]
        if (!set) throw new Error(`the keys of workload ${name} were not read`)
        return set
      }
      case 'url':
        return kept(source.url, () => fetchKeys(source.url))
      case 'discovery':
        return kept(`${issuer} by discovery`, async () => fetchKeys(await discover(issuer)))
    }
  }
}

/** Where an issuer's keys are (OpenID Connect Discovery 1.0, 4). */
async function discover(issuer: string): Promise<string> {
  const document = await fetchJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)
  const found = fieldsOf(document)
  if (found.issuer !== issuer) throw new Error('the document is about another issuer')
  const { jwks_uri: url } = found
  if (typeof url !== 'string' || new URL(url).protocol !== new URL(issuer).protocol)
    throw new Error('the document names no keys, or keys that are less protected than itself')
  return url
}

async function fetchKeys(url: string): Promise<KeySet> {
  const { keys } = fieldsOf(await fetchJson(url))
  if (!Array.isArray(keys) || !keys.every(key => typeof key === 'object' && key !== null))
    throw new Error('expected a JSON Web Key Set')
  return { keys }
}

async function fetchJson(url: string): Promise<unknown> {
  const answer = await fetch(url, {
    redirect: 'error',
    headers: { Accept: 'application/json' },
    // It is fetched for everybody: not only for as long as the first who asked waits.
    signal: AbortSignal.timeout(patienceMs),
  })
  if (answer.status !== 200 || !answer.body) throw new Error(`answered ${answer.status}`)
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of answer.body) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > maxBytes) throw new Error(`answered with more than ${maxBytes} bytes`)
  }
  return JSON.parse(text)
}

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? { ...value } : {}
