/** Tokens, as Docker's token servers give them. */
import type { Io } from '../oci/io.ts'
import type { Challenge } from './challenge.ts'
import { ClientError } from './client-error.ts'
import type { Credentials } from './credentials.ts'
import { bytesBody, exchange, type Outgoing } from './exchange.ts'
import { realmIn } from './origin.ts'
import { readAll } from './reading.ts'
import { refusal } from './refusal.ts'
import type { Scope } from './scopes.ts'

export interface Token {
  readonly text: string
  readonly expiresAtMs: number
}

const maxTokenBytes = 64 * 1024
/** Servers that name no time, or a shorter one, mean this. */
const leastSeconds = 60

/** Asks the challenge's realm. Without credentials the token is what anybody may have. */
export async function fetchToken(
  registry: URL,
  { parameters }: Challenge,
  scopes: readonly Scope[],
  credentials: Credentials | undefined,
  io: Io,
): Promise<Token> {
  const realm = realmIn(registry, parameters.get('realm') ?? '')
  const query: [string, string][] = scopes.map(scope => ['scope', scope])
  const service = parameters.get('service')
  if (service !== undefined) query.unshift(['service', service])
  const answer = await (credentials?.kind === 'identity'
    ? exchange(realm, renewal(query, credentials.token), io)
    : exchange(withQuery(realm, query), login(credentials), io))
  if (answer.status !== 200) throw await refusal(`token for ${registry.host} from ${realm.host}`, answer)
  return tokenIn(await readAll(answer, maxTokenBytes), realm)
}

export function basic({ username, password }: Extract<Credentials, { kind: 'password' }>): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

function withQuery(realm: URL, query: readonly (readonly [string, string])[]): URL {
  const url = new URL(realm)
  for (const [name, value] of query) url.searchParams.append(name, value)
  return url
}

function login(credentials: Extract<Credentials, { kind: 'password' }> | undefined): Outgoing {
  return { method: 'GET', headers: credentials ? { Authorization: basic(credentials) } : {} }
}

/** Scopes are one parameter here, and repeated ones there: so it is written. */
function renewal(query: readonly [string, string][], identity: string): Outgoing {
  const form = new URLSearchParams([
    ['grant_type', 'refresh_token'],
    ['refresh_token', identity],
    ['client_id', 'slipway'],
    ...query.filter(([name]) => name !== 'scope'),
  ])
  form.set('scope', query.flatMap(([name, value]) => (name === 'scope' ? [value] : [])).join(' '))
  return {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: bytesBody(Buffer.from(form.toString())),
  }
}

function tokenIn(bytes: Buffer, realm: URL): Token {
  const { token, access_token, expires_in } = parse(bytes)
  const text = token || access_token
  if (typeof text !== 'string' || !/^[\w.~+/=-]+$/.test(text))
    throw new ClientError(`${realm.host} answered with no token`)
  const seconds = Math.max(leastSeconds, typeof expires_in === 'number' ? expires_in : 0)
  return { text, expiresAtMs: Date.now() + seconds * 1000 }
}

function parse(bytes: Buffer): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(bytes.toString())
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
