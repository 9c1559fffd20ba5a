/** What becomes of stored robots and tokens. Each change throws ChangeRefused where it must not be made. */
import { type PrincipalName, parseIdentity, wordOf } from './access.ts'
import { parseCeilingLine } from './ceilings.ts'
import { ChangeRefused } from './errors.ts'
import { htpasswdCredential } from './proofs.ts'
import type { AccessState, StoredToken } from './state.ts'

const dayMs = 86_400_000
/** How long a token that has ended is still listed, for who looks why something stopped working. */
const listedMs = 30 * dayMs

/** Whose secret a token can be. */
export interface TokenOwner {
  readonly kind: 'user' | 'robot'
  readonly name: PrincipalName
}

export interface NewToken {
  readonly id: string
  readonly sha256: string
  readonly owner: TokenOwner
  /** None: the rights of its owner are the only limit. */
  readonly ceiling: readonly string[]
  readonly createdMs: number
  /** `never` is for robots only. */
  readonly lifetimeMs: number | 'never'
}

export function addRobot(state: AccessState, name: PrincipalName, createdMs: number): AccessState {
  if (hasRobot(state, name))
    throw new ChangeRefused(`a robot is called ${name} already: see slipway robot list`)
  return { ...state, robots: [...state.robots, { name, createdMs }] }
}

/** Its tokens end with it: a later robot of the same name does not inherit them. */
export function removeRobot(state: AccessState, name: PrincipalName): AccessState {
  demandRobot(state, name)
  const owner = wordOf({ kind: 'robot', name })
  return {
    ...state,
    robots: state.robots.filter(robot => robot.name !== name),
    tokens: state.tokens.filter(token => token.owner !== owner),
  }
}

/** The longest that a token may live, and how that is written. */
export interface LongestLifetime {
  readonly ms: number
  readonly text: string
}

/** `others`: users of the password file, with their hashes. Throws a GrammarError for a line of the ceiling. */
export function createToken(
  state: AccessState,
  { id, sha256, owner, ceiling, createdMs, lifetimeMs }: NewToken,
  others: ReadonlyMap<PrincipalName, string>,
  longest: LongestLifetime,
): AccessState {
  if (owner.kind === 'robot') demandRobot(state, owner.name)
  else demandUser(state, owner.name, others)
  if (lifetimeMs === 'never' && owner.kind === 'user')
    throw new ChangeRefused(`a person's token has an end: at most ${longest.text}, by --for`)
  if (lifetimeMs !== 'never' && !(lifetimeMs > 0 && lifetimeMs <= longest.ms))
    throw new ChangeRefused(`a token lives from 1s to ${longest.text} (tokens.max_ttl)`)
  const isStored = owner.kind === 'robot' || hasUser(state, owner.name)
  const hash = isStored ? undefined : others.get(owner.name)
  const token: StoredToken = {
    id,
    owner: wordOf(owner),
    ...(hash !== undefined && { line: htpasswdCredential(owner.name, hash) }),
    sha256,
    ...(ceiling.length > 0 && { ceiling: ceiling.map(line => parseCeilingLine(line).text) }),
    createdMs,
    ...(lifetimeMs !== 'never' && { expiresMs: createdMs + lifetimeMs }),
  }
  const listed = state.tokens.filter(each => !hasEndedBefore(each, createdMs - listedMs))
  return { ...state, tokens: [...listed, token] }
}

/** Revoked for good: what was issued for it ends with it. */
export function revokeToken(state: AccessState, id: string, revokedMs: number): AccessState {
  const token = state.tokens.find(each => each.id === id)
  if (!token) throw new ChangeRefused(`no token has the id ${shown(id)}: see slipway token list`)
  if (token.revokedMs !== undefined) return state
  return { ...state, tokens: state.tokens.map(each => (each === token ? { ...token, revokedMs } : each)) }
}

/** `owner-changed`: the owner has another line in the password file than the token was made for, or none. */
export type TokenStanding = 'good' | 'revoked' | 'expired' | 'owner-disabled' | 'owner-changed'

export function standingOfToken(
  token: StoredToken,
  state: AccessState,
  nowMs: number,
  others: ReadonlyMap<PrincipalName, string> = new Map(),
): TokenStanding {
  if (token.revokedMs !== undefined) return 'revoked'
  if (hasEndedBefore(token, nowMs)) return 'expired'
  const owner = parseIdentity(token.owner)
  if (owner?.kind !== 'user') return 'good'
  const user = state.users.find(({ name }) => name === owner.name)
  if (user) return user.disabled ? 'owner-disabled' : 'good'
  const hash = others.get(owner.name)
  return hash !== undefined && htpasswdCredential(owner.name, hash) === token.line ? 'good' : 'owner-changed'
}

const hasEndedBefore = ({ expiresMs, revokedMs }: StoredToken, ms: number) =>
  Math.min(expiresMs ?? Number.POSITIVE_INFINITY, revokedMs ?? Number.POSITIVE_INFINITY) <= ms

const hasUser = (state: AccessState, name: PrincipalName) => state.users.some(user => user.name === name)
const hasRobot = (state: AccessState, name: PrincipalName) => state.robots.some(robot => robot.name === name)

function demandRobot(state: AccessState, name: PrincipalName): void {
  if (!hasRobot(state, name))
    throw new ChangeRefused(`no robot is called ${name}: make it first, by slipway robot add ${name}`)
}

function demandUser(
  state: AccessState,
  name: PrincipalName,
  others: ReadonlyMap<PrincipalName, string>,
): void {
  const user = state.users.find(each => each.name === name)
  if (user?.disabled)
    throw new ChangeRefused(`${name} is disabled: enable first, by slipway user enable ${name}`)
  if (!user && !others.has(name))
    throw new ChangeRefused(`no user is called ${name}: make one first, by slipway user add ${name}`)
}

/** Whoever gives something else instead of the id, such as the secret, must not find it in an error. */
const shown = (id: string) =>
  /^[a-z2-7]{10}$/.test(id) ? id : 'that was given (it is ten letters and digits)'
