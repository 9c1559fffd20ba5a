/**
 * The registry's own tokens: short-lived signed statements of who somebody is and what was granted (auth-security 1.6,
 * 1.7). A token is an upper bound: whoever takes one asks the policy as well, at every request.
 */
import { createPrivateKey, createPublicKey, hash, type KeyObject, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { type Identity, parseIdentity, wordOf } from './access.ts'
import { InvalidToken } from './errors.ts'
import { type Claims, signJwt, type TokenHeader, verifyJwt } from './jwt.ts'
import { activeOf, type KeyRing, trusted } from './keys.ts'
import { type Access, parseAccess } from './scopes.ts'

/** What a token is made for. */
export interface TokenGrant {
  readonly subject: Identity
  readonly access: readonly Access[]
  /** The id of the credential that proved it, so that the token dies with it. */
  readonly credential?: string | undefined
  /** Which rules were asked, for logs. */
  readonly policyVersion?: string | undefined
  /** Ends it before its 15 minutes are over: what it was proved by may not live that long. */
  readonly expiresMs?: number | undefined
}

/** What a token that was taken says. */
export interface VerifiedToken {
  readonly id: string
  readonly subject: Identity
  readonly access: readonly Access[]
  readonly credential: string | undefined
  readonly issuedMs: number
  readonly expiresMs: number
}

export interface Tokens {
  /** Throws InvalidToken when what it was proved by has ended. */
  issue(grant: TokenGrant): Promise<{ readonly token: string; readonly expiresInSeconds: number }>
  /** Throws InvalidToken. */
  verify(token: string): Promise<VerifiedToken>
  /**
   * For requests on an upload that is under way: also takes what expired less than an hour ago, as a proxy may have kept
   * the request for so long (auth-security 1.11). Throws InvalidToken.
   */
  verifyLate(token: string): Promise<VerifiedToken>
}

export interface TokenSettings {
  /** The address that clients know us by. */
  readonly issuer: string
  /** What challenges call `service`. */
  readonly service: string
  /** The ring of this moment: the same object as long as it is the same ring. */
  readonly ring: () => KeyRing
  /** ms since the epoch. */
  readonly now: () => number
}

const lifetimeSeconds = 900
const lateSeconds = 3_600
/** How far clocks may be apart. */
const toleranceSeconds = 60
/** A token is valid a moment before it was made, for verifiers that tolerate nothing. */
const backdatedSeconds = 10
/** The line that holds it must fit into what proxies allow. */
const maxLength = 12 * 1024
/** About 5000 tokens of the usual size. */
const rememberedBytes = 4 * 1024 * 1024
const overheadBytes = 512

/** Base64url without padding; the last character of 64 bytes has four bits that mean nothing and must be zero. */
const form = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]{85}[AQgw]$/

const requiredClaims = ['exp', 'nbf', 'iat', 'jti', 'sub', 'access']

export function registryTokens({ issuer, service, ring, now }: TokenSettings): Tokens {
  const prepared = new WeakMap<KeyRing, PreparedRing>()
  // What is remembered is what a token says, never what was decided about it, and by a hash, never by the token.
  const known = new LRUCache<string, Times & VerifiedToken>({ maxSize: rememberedBytes })

  function keys(): PreparedRing {
    const current = ring()
    const found = prepared.get(current) ?? prepare(current)
    prepared.set(current, found)
    return found
  }

  async function read(token: string): Promise<Times & VerifiedToken> {
    const [, header = '', body = ''] = (token.length <= maxLength && form.exec(token)) || []
    if (body === '') throw new InvalidToken('malformed')
    const key = keys().byHeader.get(header)
    if (!key) throw new InvalidToken('unknown-key')
    const digest = hash('sha256', token, 'base64url')
    const before = known.get(digest)
    if (before) return before
    const claims = await verifiedClaims(token, key)
    // A second spelling of the same claims, such as one with a key twice, is not ours.
    if (base64url(JSON.stringify(claims)) !== body) throw new InvalidToken('malformed')
    const verified = parseClaims(claims, service)
    known.set(digest, verified, { size: token.length + overheadBytes })
    return verified
  }

  function verifiedClaims(token: string, key: KeyObject): Promise<Claims> {
    return verifyJwt(token, key, {
      algorithms: ['ES256'],
      typ: 'JWT',
      issuer,
      audience: service,
      requiredClaims,
      // Times are compared in `inTime`, each time a token is used; here a token must only have been good today.
      currentDate: new Date(now()),
      clockTolerance: lateSeconds + toleranceSeconds,
    })
  }

  function inTime(token: Times & VerifiedToken, graceSeconds: number): VerifiedToken {
    const nowMs = now()
    const { notBeforeMs, expiresMs } = token
    if (!(nowMs < expiresMs + (toleranceSeconds + graceSeconds) * 1_000)) throw new InvalidToken('expired')
    if (!(notBeforeMs - toleranceSeconds * 1_000 <= nowMs)) throw new InvalidToken('early')
    return token
  }

  return {
    async issue({ subject, access, credential, policyVersion, expiresMs = Number.POSITIVE_INFINITY }) {
      const { header, signingKey } = keys()
      const issued = Math.floor(now() / 1_000)
      const expires = Math.min(issued + lifetimeSeconds, Math.floor(expiresMs / 1_000))
      if (expires <= issued) throw new InvalidToken('expired')
      const claims = {
        access: [...access],
        ...(credential !== undefined && { cid: credential }),
        ...(policyVersion !== undefined && { pv: policyVersion }),
        iss: issuer,
        aud: service,
        sub: subject.kind === 'anonymous' ? '' : wordOf(subject),
        iat: issued,
        nbf: issued - backdatedSeconds,
        exp: expires,
        jti: randomBytes(16).toString('base64url'),
      }
      const token = await signJwt(claims, header, signingKey)
      return { token, expiresInSeconds: expires - issued }
    },
    verify: async token => inTime(await read(token), 0),
    verifyLate: async token => inTime(await read(token), lateSeconds),
  }
}

interface Times {
  readonly notBeforeMs: number
}

interface PreparedRing {
  readonly header: TokenHeader
  readonly signingKey: KeyObject
  /**
   * By the whole header as our tokens spell it. A header that is not one of these is never parsed: no other algorithm,
   * no key that a token brings along, no extension can be asked for.
   */
  readonly byHeader: ReadonlyMap<string, KeyObject>
}

const headerOf = (kid: string): TokenHeader => ({ alg: 'ES256', typ: 'JWT', kid })
const base64url = (text: string) => Buffer.from(text).toString('base64url')

function prepare(ring: KeyRing): PreparedRing {
  const { kid, publicJwk, d } = activeOf(ring)
  return {
    header: headerOf(kid),
    signingKey: createPrivateKey({ key: { ...publicJwk, d }, format: 'jwk' }),
    byHeader: new Map(
      trusted(ring).map(key => [
        base64url(JSON.stringify(headerOf(key.kid))),
        createPublicKey({ key: { ...key.publicJwk }, format: 'jwk' }),
      ]),
    ),
  }
}

/** Signed by us does not mean written by this version of us: every claim is looked at. */
function parseClaims(claims: Claims, service: string): Times & VerifiedToken {
  const { sub, aud, iat, nbf, exp, jti, cid, access: claimed } = claims
  const subject = parseSubject(sub)
  const access = parseAccess(claimed)
  const isOurs =
    // jose takes one of several audiences: our tokens have one.
    aud === service &&
    isWhole(iat) &&
    isWhole(nbf) &&
    isWhole(exp) &&
    nbf <= iat &&
    iat < exp &&
    exp - iat <= lifetimeSeconds &&
    typeof jti === 'string' &&
    (cid === undefined || typeof cid === 'string')
  if (!isOurs || !access || !subject) throw new InvalidToken('claims')
  return {
    id: jti,
    subject,
    access,
    credential: cid,
    issuedMs: iat * 1_000,
    notBeforeMs: nbf * 1_000,
    expiresMs: exp * 1_000,
  }
}

/** Empty for who is anonymous, as the protocol has it; otherwise exactly as `wordOf` spells it. */
function parseSubject(sub: unknown): Identity | undefined {
  if (sub === '') return { kind: 'anonymous' }
  const subject = typeof sub === 'string' ? parseIdentity(sub) : undefined
  const isExact = subject && subject.kind !== 'anonymous' && wordOf(subject) === sub
  return isExact ? subject : undefined
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value)
