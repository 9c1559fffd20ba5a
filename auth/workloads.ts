/**
 * Machines that need no secret of ours: a job shows a token that its own platform has signed (auth-security 2.3, 2.5).
 * Whoever runs the platform decides what the token says; the configuration decides which of its tokens are which
 * workload.
 */
import type { Io } from '../oci/io.ts'
import type { PrincipalName } from './access.ts'
import { InvalidToken } from './errors.ts'
import { wordGlob } from './globs.ts'
import { type Claims, type KeySet, unverifiedPart, verifyJwt } from './jwt.ts'

export interface Workload {
  readonly name: PrincipalName
  /** Compared as text: an issuer with another spelling is another issuer. */
  readonly issuer: string
  readonly audience: string
  /** Dotted path into the claims -> pattern; all of them must match. */
  readonly match: Readonly<Record<string, string>>
}

/**
 * The public keys of a workload's issuer: from a file, or fetched and kept. The same object as long as they are the
 * same keys. Throws ISSUER_UNAVAILABLE while there are none to be had.
 */
export type IssuerKeys = (workload: Workload, io: Io) => Promise<KeySet>

export interface WorkloadToken {
  /** Never empty; in the order of the configuration. */
  readonly workloads: readonly PrincipalName[]
  /** Who it is in the issuer's words, for the audit. */
  readonly subject: string | undefined
  readonly expiresMs: number
}

export interface WorkloadVerifier {
  /** Whether a password is a token of an issuer that is configured. Proves nothing yet. */
  isWorkloadToken(text: string): boolean
  /** The workloads that a token stands for. Throws InvalidToken, and what `keys` throws. */
  verify(token: string, io: Io): Promise<WorkloadToken>
}

export interface WorkloadSource {
  readonly workloads: readonly Workload[]
  readonly keys: IssuerKeys
  /** ms since the epoch. */
  readonly now: () => number
}

/** Signatures by a key that can be published. What a token asks for beside these is refused unread. */
const algorithms = ['RS256', 'ES256', 'PS256', 'EdDSA']
/** Headers that would let a token say how it is to be verified. */
const refusedHeaders = ['jwk', 'jku', 'x5c', 'x5u', 'crit']
const maxLength = 12 * 1024
const maxAgeSeconds = 3_600
const toleranceSeconds = 60
const form = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/

export function workloadVerifier({ workloads, keys, now }: WorkloadSource): WorkloadVerifier {
  const prepared = workloads.map(workload => ({ workload, fits: matcherOf(workload) }))

  /** Those that a token can be one of, by what it says of its issuer. */
  function candidates(token: string) {
    const issuer = issuerOf(token)
    return issuer === undefined ? [] : prepared.filter(({ workload }) => workload.issuer === issuer)
  }

  async function claimsFor(token: string, workload: Workload, io: Io): Promise<Claims> {
    return verifyJwt(token, await keys(workload, io), {
      algorithms,
      issuer: workload.issuer,
      audience: workload.audience,
      requiredClaims: ['exp', 'iat'],
      maxTokenAge: maxAgeSeconds,
      currentDate: new Date(now()),
      clockTolerance: toleranceSeconds,
    })
  }

  return {
    isWorkloadToken: text => candidates(text).length > 0,

    async verify(token, io) {
      const possible = candidates(token)
      if (possible.length === 0) throw new InvalidToken('malformed')
      refuseOddHeader(token)
      const outcomes: { name: PrincipalName; claims: Claims }[] = []
      const faults: InvalidToken[] = []
      for (const { workload, fits } of possible)
        try {
          const claims = await claimsFor(token, workload, io)
          if (fits(claims)) outcomes.push({ name: workload.name, claims })
          else faults.push(new InvalidToken('unmatched'))
        } catch (error) {
          if (!(error instanceof InvalidToken)) throw error
          faults.push(error)
        }
      const [first] = outcomes
      if (!first)
        throw faults.find(({ fault }) => fault === 'unmatched') ?? faults[0] ?? new InvalidToken('unmatched')
      return {
        workloads: outcomes.map(({ name }) => name),
        subject: first.claims.sub,
        // jose has made sure that there is one.
        expiresMs: (first.claims.exp ?? 0) * 1_000,
      }
    },
  }
}

function matcherOf({ match }: Workload): (claims: Claims) => boolean {
  const conditions = Object.entries(match).map(([path, pattern]) => ({
    names: path.split('.'),
    matches: wordGlob(pattern),
  }))
  return claims =>
    conditions.length > 0 &&
    conditions.every(({ names, matches }) => textsOf(valueAt(claims, names)).some(matches))
}

/**
 * `kubernetes.io.namespace` is `namespace` in `kubernetes.io`: a claim's name can hold dots, so the longest name that is
 * there is taken, and no other.
 */
function valueAt(value: unknown, names: readonly string[]): unknown {
  if (names.length === 0) return value
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  for (let count = names.length; count > 0; count--) {
    const name = names.slice(0, count).join('.')
    // An object that is not an array, by the line above.
    if (Object.hasOwn(value, name))
      return valueAt((value as Record<string, unknown>)[name], names.slice(count))
  }
  return undefined
}

/** What a pattern is compared with; of a list, any of its elements. */
function textsOf(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(each => (Array.isArray(each) ? [] : textsOf(each)))
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? [String(value)]
    : []
}

function issuerOf(token: string): unknown {
  return token.length > maxLength || !form.test(token) ? undefined : unverifiedPart(token, 'claims')?.iss
}

function refuseOddHeader(token: string): void {
  const header = unverifiedPart(token, 'header')
  if (!header) throw new InvalidToken('malformed')
  const asksForMore = refusedHeaders.some(name => Object.hasOwn(header, name))
  const isKnown = typeof header.alg === 'string' && algorithms.includes(header.alg)
  // Without a kid jose takes the only key of a set.
  if (asksForMore || !isKnown || typeof header.kid !== 'string' || header.kid === '')
    throw new InvalidToken('malformed')
}
