/** How to show a registry who we are: found out from what it demands, and remembered for a while. */
import type { Io } from '../oci/io.ts'
import { type Challenge, parseChallenges } from './challenge.ts'
import { ClientError } from './client-error.ts'
import type { CredentialSource } from './credentials.ts'
import { mergeScopes, type Scope } from './scopes.ts'
import { basic, fetchToken } from './token.ts'

export interface Authorizer {
  /** The header to send; undefined as long as nothing was demanded. */
  header(scopes: readonly Scope[], io: Io): Promise<string | undefined>
  /** The header to try instead of the one that was refused; undefined when there is none. */
  renewed(refused: Refused, scopes: readonly Scope[], io: Io): Promise<string | undefined>
}

export interface Refused {
  readonly header: string | undefined
  /** The answer's WWW-Authenticate. */
  readonly challenge: string | undefined
}

interface Held {
  readonly header: string
  readonly expiresAtMs: number
  /** What it is the answer to. */
  readonly challenges: readonly Challenge[]
}

/** Clocks differ, and a request takes time to arrive. */
const marginMs = 5_000

export function authorizer(registry: URL, host: string, credentials: CredentialSource): Authorizer {
  const held = new Map<string, Promise<Held>>()

  async function answerTo(challenges: readonly Challenge[], scopes: readonly Scope[], io: Io): Promise<Held> {
    const found = await credentials(host, io)
    const bearer = challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.has('realm'))
    if (bearer) {
      const all = mergeScopes([...scopes, bearer.parameters.get('scope') ?? ''])
      const { text, expiresAtMs } = await fetchToken(registry, bearer, all, found, io)
      return { header: `Bearer ${text}`, expiresAtMs, challenges }
    }
    if (!challenges.some(({ scheme }) => scheme === 'basic'))
      throw new ClientError(`${host} knows no way to log in that we know: expected Bearer or Basic`, {
        status: 401,
      })
    if (found?.kind !== 'password')
      throw new ClientError(`${host} demands a password: log in with docker login ${host}`, { status: 401 })
    return { header: basic(found), expiresAtMs: Number.POSITIVE_INFINITY, challenges }
  }

  /**
   * What is held for these scopes, if it is good enough, or what `renew` gets instead. Many may ask at once: one gets
   * it, the others wait for that. A failure is for those who wait; who comes later tries again.
   */
  async function obtain(
    scopes: readonly Scope[],
    isGood: (current: Held) => boolean,
    renew: (current: Held | undefined) => Promise<Held> | undefined,
  ): Promise<Held | undefined> {
    const key = mergeScopes(scopes).join(' ')
    for (;;) {
      const pending = held.get(key)
      const current = pending && (await pending)
      if (held.get(key) !== pending) continue
      if (current && isGood(current)) return current
      const next = renew(current)
      if (!next) return undefined
      held.set(key, next)
      next.catch(() => held.get(key) === next && held.delete(key))
      return next
    }
  }

  return {
    async header(scopes, io) {
      const isFresh = ({ expiresAtMs }: Held) => expiresAtMs - marginMs > Date.now()
      const found = await obtain(scopes, isFresh, stale => stale && answerTo(stale.challenges, scopes, io))
      return found?.header
    },
    async renewed({ header, challenge }, scopes, io) {
      const challenges = parseChallenges(challenge)
      if (challenges.length === 0) return undefined
      const isOther = (current: Held) => current.header !== header
      const found = await obtain(scopes, isOther, () => answerTo(challenges, scopes, io))
      return found?.header === header ? undefined : found?.header
    },
  }
}
