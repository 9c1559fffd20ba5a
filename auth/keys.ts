/**
 * The keys that sign tokens: ES256, each called by its thumbprint (RFC 7638). A ring of them is plain data, kept as one
 * record and replaced as a whole.
 *
 *   next ──> active ──> retired ──> forgotten       each time the ring turns, all keys go one step
 *     └─────────┴──────────┴──────> revoked ──> forgotten
 *
 * A ring always has a next key: everybody knows it long before it signs.
 */
import { createHash, generateKeyPairSync } from 'node:crypto'

/** The coordinates of a point of P-256, in base64url. */
export interface PublicJwk {
  readonly kty: 'EC'
  readonly crv: 'P-256'
  readonly x: string
  readonly y: string
}

export type SigningKey = {
  readonly kid: string
  readonly publicJwk: PublicJwk
  /** When it came into its state, in ms since the epoch. */
  readonly sinceMs: number
} & (
  | { readonly state: 'next' | 'active'; readonly d: string }
  /** It signs no more, so the private part is forgotten. */
  | { readonly state: 'retired' | 'revoked' }
)

/** One key is active and one next. */
export interface KeyRing {
  readonly keys: readonly SigningKey[]
}

/** A key as `/.well-known/jwks.json` shows it. */
export interface PublishedKey extends PublicJwk {
  readonly kid: string
  readonly alg: 'ES256'
  readonly use: 'sig'
}

export interface NewKey {
  readonly kid: string
  readonly publicJwk: PublicJwk
  readonly d: string
}

const hourMs = 3_600_000
/** How long a key signs before the ring turns by itself. */
export const turnAfterMs = 90 * 24 * hourMs
/** How long a key is published before it signs, unless somebody turns the ring by hand. */
export const publishForMs = 24 * hourMs
/** A token lives 15 minutes and is taken for uploads an hour longer (auth-security 1.11); the rest is for clocks. */
export const rememberForMs = 2.25 * hourMs

/** Its kid begins with no hyphen: `slipway keys revoke KID` would take that for an option. */
export function makeKey(): NewKey {
  for (;;) {
    const key = anyKey()
    if (!key.kid.startsWith('-')) return key
  }
}

function anyKey(): NewKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { x, y, d } = privateKey.export({ format: 'jwk' })
  if (x === undefined || y === undefined || d === undefined) throw new TypeError('P-256 keys have x, y and d')
  const publicJwk = { kty: 'EC', crv: 'P-256', x, y } as const
  return { kid: thumbprintOf(publicJwk), publicJwk, d }
}

/** RFC 7638: the hash of the required members in the order of their names. */
function thumbprintOf({ crv, kty, x, y }: PublicJwk): string {
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url')
}

/** A ring for a registry that has none. */
export function firstRing(nowMs: number, make = makeKey): KeyRing {
  return { keys: [enter('active', make(), nowMs), enter('next', make(), nowMs)] }
}

/** What time makes of a ring: it turns, it forgets. The same ring where there is nothing to do. */
export function aged(ring: KeyRing, nowMs: number, make = makeKey): KeyRing {
  const isRemembered = ({ state, sinceMs }: SigningKey) =>
    state === 'next' || state === 'active' || nowMs - sinceMs < rememberForMs
  const isDue = nowMs - activeOf(ring).sinceMs >= turnAfterMs && nowMs - nextOf(ring).sinceMs >= publishForMs
  const keys = ring.keys.filter(isRemembered)
  if (isDue) return turned({ keys }, nowMs, make)
  return keys.length < ring.keys.length ? { keys } : ring
}

/** The next key signs from now on. Tokens that the active one has signed stay good. */
export function turned(ring: KeyRing, nowMs: number, make = makeKey): KeyRing {
  const { kid, publicJwk } = activeOf(ring)
  const { kid: nextKid, publicJwk: nextPublicJwk, d } = nextOf(ring)
  return {
    keys: [
      { kid: nextKid, publicJwk: nextPublicJwk, d, state: 'active', sinceMs: nowMs },
      enter('next', make(), nowMs),
      { kid, publicJwk, state: 'retired', sinceMs: nowMs },
      ...ring.keys.filter(({ state }) => state === 'retired' || state === 'revoked'),
    ],
  }
}

/** Nothing that this key has signed is taken any more. The same ring when it has no such key. */
export function revoked(ring: KeyRing, kid: string, nowMs: number, make = makeKey): KeyRing {
  const found = ring.keys.find(key => key.kid === kid)
  if (!found || found.state === 'revoked') return ring
  const { keys } = found.state === 'active' ? turned(ring, nowMs, make) : ring
  const dead: SigningKey = { kid, publicJwk: found.publicJwk, state: 'revoked', sinceMs: nowMs }
  return {
    keys: [
      ...keys.filter(key => key.kid !== kid),
      ...(found.state === 'next' ? [enter('next', make(), nowMs)] : []),
      dead,
    ],
  }
}

/** The key that signs. */
export function activeOf(ring: KeyRing): Extract<SigningKey, { d: string }> {
  return holder(ring, 'active')
}

/** The keys whose signatures are taken. The next one is among them: another process may have turned the ring. */
export function trusted(ring: KeyRing): readonly SigningKey[] {
  return ring.keys.filter(({ state }) => state !== 'revoked')
}

/** What anybody may know: the body of `/.well-known/jwks.json` (RFC 7517). */
export function published(ring: KeyRing): { readonly keys: readonly PublishedKey[] } {
  return {
    keys: trusted(ring).map(({ kid, publicJwk: { kty, crv, x, y } }) => ({
      kty,
      crv,
      x,
      y,
      kid,
      alg: 'ES256',
      use: 'sig',
    })),
  }
}

const nextOf = (ring: KeyRing) => holder(ring, 'next')

function holder(ring: KeyRing, state: 'next' | 'active'): Extract<SigningKey, { d: string }> {
  for (const key of ring.keys) if (key.state === state && 'd' in key) return key
  throw new Error(`the signing keys cannot be used: none of them is ${state}`)
}

function enter(state: 'next' | 'active', { kid, publicJwk, d }: NewKey, sinceMs: number): SigningKey {
  return { kid, publicJwk, d, state, sinceMs }
}
