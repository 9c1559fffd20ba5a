/**
 * Who somebody is, by what they show: a password, an API token, a workload's token, or a token that the registry has
 * issued for one of these. Every way ends in `standingOf`, which asks whether what was proved still stands.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import type { Io } from '../oci/io.ts'
import { type AccessPolicy, openToAll, type Principal, parseIdentity, parsePrincipalName } from './access.ts'
import { askOnce } from './ask-once.ts'
import type { Credentials } from './credentials.ts'
import type { View } from './directory.ts'
import { Busy, InvalidToken } from './errors.ts'
import type { HashingThread } from './hashing-thread.ts'
import { standInFor } from './htpasswd.ts'
import type { Passwords } from './passwords.ts'
import {
  htpasswdCredential,
  type Proof,
  passwordCredential,
  standingOf,
  tokenCredential,
  workloadCredential,
} from './proofs.ts'
import { type Access, covers } from './scopes.ts'
import { isSecretLike, isSecretOf, parseSecret } from './secrets.ts'
import type { Throttle } from './throttle.ts'
import type { Tokens, VerifiedToken } from './tokens.ts'
import type { WorkloadVerifier } from './workloads.ts'

/** Somebody who is known now, and what they may do now. */
export interface Caller {
  readonly principal: Principal
  /** What was shown. `issued` is a token of ours. */
  readonly by: 'nothing' | 'password' | 'token' | 'workload' | 'issued'
  /** Names what was proved, so that what is issued for it ends with it. */
  readonly credential: string | undefined
  /** ms since the epoch; what it was proved by lives no longer. */
  readonly expiresMs?: number | undefined
  /** Asks for the caller alone: the rules, the ceiling of an API token, and what a token of ours was issued for. */
  readonly policy: AccessPolicy
  /** The same whatever a token of ours was issued for: what its holder could ask a token for. */
  readonly holder: AccessPolicy
  /** What a token of ours was issued for. */
  readonly bound?: readonly Access[]
}

export type Refusal =
  /** What was shown is wrong. Nothing more is said, whatever it was; `because` is for logs. */
  | { readonly refused: 'wrong'; readonly because?: string }
  | { readonly refused: 'invalid-token' }
  | { readonly refused: 'slow-down'; readonly retryAfterSeconds: number }
  | { readonly refused: 'busy' }

export interface Authenticator {
  /** `address` is that of the client. Rejects only with the signal's reason, and with what the issuer of a workload's keys does. */
  authenticate(credentials: Credentials, address: string, view: View, io: Io): Promise<Caller | Refusal>
  /** The same for requests on an upload that is under way, see Tokens.verifyLate. */
  authenticateLate(credentials: Credentials, address: string, view: View, io: Io): Promise<Caller | Refusal>
}

export interface AuthenticatorParts {
  readonly tokens: () => Tokens
  readonly workloads: () => WorkloadVerifier
  readonly passwords: Passwords
  readonly hashing: Pick<HashingThread, 'isBcryptOf'>
  readonly throttle: Throttle
  /** ms since the epoch. */
  readonly now: () => number
}

interface Shown extends Proof {
  readonly by: Caller['by']
}

/** A name and a secret that have proved right are not looked at again for so long; whether it still stands is asked each time. */
const rememberedMs = 60_000
const remembered = { max: 10_000, ttl: rememberedMs }

const wrong: Refusal = { refused: 'wrong' }

export function authenticator(parts: AuthenticatorParts): Authenticator {
  const { throttle, now } = parts
  const proofs = new LRUCache<string, Shown>(remembered)
  /** A password that is wrong as well: who repeats one would keep from being looked at what others show. */
  const compareOnce = askOnce<{ readonly isPassword: boolean; readonly isKept: boolean }>(remembered)
  const key = randomBytes(32)
  const markOf = (...texts: readonly string[]) =>
    createHmac('sha256', key).update(JSON.stringify(texts)).digest('base64')

  async function byPassword(
    username: string,
    secret: string,
    view: View,
    io: Io,
  ): Promise<Shown | undefined> {
    const name = parsePrincipalName(username)
    const user = name && view.user(name)
    const { htpasswd } = view
    const kept = name && !user ? htpasswd.get(name) : undefined
    const compared = kept ?? standInFor(username, htpasswd)
    const compare = async () => ({
      // Both are done for everybody, so that the time tells nothing about who is there.
      isPassword: await parts.passwords.verify(secret, user?.password, io),
      isKept: compared !== undefined && (await parts.hashing.isBcryptOf(compared, secret, io)),
    })
    const question = markOf(username, secret, user?.password ?? '', compared ?? '')
    const { isPassword, isKept } = await compareOnce(question, compare, io)
    if (name && user && isPassword && !user.disabled)
      return {
        by: 'password',
        identity: { kind: 'user', name },
        credential: passwordCredential(name, user.serial),
      }
    if (name && kept !== undefined && isKept)
      return { by: 'password', identity: { kind: 'user', name }, credential: htpasswdCredential(name, kept) }
    return undefined
  }

  function byToken(text: string, view: View): Shown | undefined {
    const secret = parseSecret(text)
    const token = secret && view.token(secret.id, now())
    const identity = token && parseIdentity(token.owner)
    if (!identity || !isSecretOf(secret, token.sha256)) return undefined
    return { by: 'token', identity, credential: tokenCredential(token.id) }
  }

  async function byWorkload(
    username: string,
    secret: string,
    view: View,
    io: Io,
  ): Promise<Shown | Refusal | undefined> {
    try {
      const { workloads, expiresMs } = await parts.workloads().verify(secret, io)
      const name = workloads.find(each => each === username) ?? workloads[0]
      const terms = name && view.workloads.get(name)
      if (name === undefined || terms === undefined) return undefined
      const credential = workloadCredential(name, terms)
      return { by: 'workload', identity: { kind: 'workload', name }, credential, expiresMs }
    } catch (error) {
      if (error instanceof InvalidToken) return { refused: 'wrong', because: error.message }
      throw error
    }
  }

  function accept(mark: string, shown: Shown | undefined, view: View): Caller | undefined {
    const caller = shown && callerOf(shown, view, now())
    if (caller) proofs.set(mark, shown)
    return caller
  }

  async function basic(
    username: string,
    secret: string,
    address: string,
    view: View,
    io: Io,
  ): Promise<Caller | Refusal> {
    const mark = markOf(username, secret)
    const known = proofs.get(mark)
    const again = known && callerOf(known, view, now())
    if (again) return again

    let unfit: Refusal = wrong
    const isOfMachine = isSecretLike(secret) || parts.workloads().isWorkloadToken(secret)
    if (isOfMachine) {
      // Nobody guesses one, and to look at it costs little: so what others try keeps out no machine, and what a machine
      // shows, by whatever name, is no reason to trust who tries passwords.
      const shown = isSecretLike(secret)
        ? byToken(secret, view)
        : await byWorkload(username, secret, view, io)
      if (shown && 'refused' in shown) unfit = shown
      else {
        const caller = accept(mark, shown, view)
        if (caller) return caller
      }
    }
    const admission = isOfMachine
      ? throttle.admitMachine(address, secret)
      : throttle.admit({ account: username, address, secret })
    if (admission.kind === 'refused')
      return { refused: 'slow-down', retryAfterSeconds: admission.retryAfterSeconds }
    try {
      if (admission.delayMs > 0) await pause(admission.delayMs, undefined, io)
      if (isOfMachine) return unfit
      const caller = accept(mark, await byPassword(username, secret, view, io), view)
      if (caller) admission.succeeded()
      return caller ?? wrong
    } catch (error) {
      admission.abandoned()
      if (error instanceof Busy) return { refused: 'busy' }
      throw error
    }
  }

  async function issued(verifying: Promise<VerifiedToken>, view: View): Promise<Caller | Refusal> {
    try {
      const { subject, credential, access } = await verifying
      const standing =
        credential === undefined
          ? subject.kind === 'anonymous' && nobody(view)
          : standingOf({ identity: subject, credential }, view, now())
      if (!standing) return { refused: 'invalid-token' }
      const { principal, policy } = standing
      return {
        principal,
        by: 'issued',
        credential,
        policy: within(access, policy),
        holder: policy,
        bound: access,
      }
    } catch (error) {
      if (error instanceof InvalidToken) return { refused: 'invalid-token' }
      throw error
    }
  }

  const authenticateWith =
    (verify: (tokens: Tokens, token: string) => Promise<VerifiedToken>): Authenticator['authenticate'] =>
    async (credentials, address, view, io) => {
      // Whoever may do anything anyway is not asked who it is.
      if (view.isOpen) return nobody(view)
      switch (credentials.kind) {
        case 'none':
          return nobody(view)
        case 'basic':
          return basic(credentials.username, credentials.secret, address, view, io)
        case 'bearer':
          return issued(verify(parts.tokens(), credentials.token), view)
        case 'unreadable':
          return wrong
      }
    }

  return {
    authenticate: authenticateWith((tokens, token) => tokens.verify(token)),
    authenticateLate: authenticateWith((tokens, token) => tokens.verifyLate(token)),
  }
}

/** The same caller by a later view. */
export function renewed(caller: Caller, view: View, nowMs: number): Caller | Refusal {
  const { principal, by, credential, bound } = caller
  if (view.isOpen || by === 'nothing') return nobody(view)
  const standing =
    credential === undefined ? nobody(view) : standingOf({ identity: principal, credential }, view, nowMs)
  if (!standing) return by === 'issued' ? { refused: 'invalid-token' } : wrong
  return {
    ...caller,
    principal: standing.principal,
    policy: bound ? within(bound, standing.policy) : standing.policy,
    holder: standing.policy,
  }
}

function callerOf(shown: Shown, view: View, nowMs: number): Caller | undefined {
  const standing = standingOf(shown, view, nowMs)
  const { by, credential, expiresMs } = shown
  return standing && { ...standing, holder: standing.policy, by, credential, expiresMs }
}

function nobody(view: View): Caller {
  const policy = view.isOpen ? openToAll : view.policy
  return { principal: { kind: 'anonymous' }, by: 'nothing', credential: undefined, policy, holder: policy }
}

/** What a token of ours was issued for, of what its holder may do. Administration is no matter of tokens. */
const within = (access: readonly Access[], policy: AccessPolicy): AccessPolicy => ({
  permits: (principal, level, name) =>
    level !== 'admin' && covers(access, level, name) && policy.permits(principal, level, name),
  permitsEverywhere: () => false,
  reach: () => access.filter(({ type }) => type === 'repository').map(({ name }) => name),
})
