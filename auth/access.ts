/**
 * Who may do what. A permission is asked for by name before anything is looked up, so that what is forbidden and what
 * is not there look the same.
 */
import type { Branded, RepositoryName } from '../oci/names.ts'

/** Each level includes the ones before it. */
export const levels = ['pull', 'push', 'delete', 'admin'] as const
export type Level = (typeof levels)[number]

/** The name of a user, group, robot or workload. */
export type PrincipalName = Branded<string, 'PrincipalName'>

/** Who asks. Groups are those of this moment, not those of the day a token was made. */
export type Principal =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'user'; readonly name: PrincipalName; readonly groups: readonly PrincipalName[] }
  | { readonly kind: 'robot'; readonly name: PrincipalName }
  | { readonly kind: 'workload'; readonly name: PrincipalName }

/** Says what somebody may do: a pure question, asked again for every request. */
export interface AccessPolicy {
  /** Whether a principal has this level, or a higher one, on a repository. Never throws: what is in doubt is refused. */
  permits(principal: Principal, level: Level, name: RepositoryName): boolean
  /** Whether they have it on every repository there is or will be. False where that cannot be told from the rules. */
  permitsEverywhere(principal: Principal, level: Level): boolean
  /** Beginnings of names: whatever a principal may do anything with begins with one of them. So lists skip the rest. */
  reach(principal: Principal): readonly string[]
}

/** Words of the rules' grammar, which therefore are nobody's name. */
const reserved = new Set(['anonymous', 'anyone', 'signed-in'])
const maxNameLength = 64
const namePattern = /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/

/** The group of those whom `slipway user add --admin` made. No configuration can say who is in it. */
// It is a name by the pattern above.
export const administrators = 'administrators' as PrincipalName

/** What `parsePrincipalName` takes, for messages. */
export const principalNameForm = `lower-case letters and digits joined by . _ or -, at most ${maxNameLength} of them`

/** Undefined for what cannot be a name. A name is also a word of a repository's name, for rules like `{user}/**`. */
export function parsePrincipalName(text: string): PrincipalName | undefined {
  const fits = text.length <= maxNameLength && namePattern.test(text) && !reserved.has(text)
  // The pattern is the type's promise.
  return fits ? (text as PrincipalName) : undefined
}

/** A principal by name alone: what tokens and commands say. Groups are looked up when it is asked what it may do. */
export type Identity =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'user' | 'robot' | 'workload'; readonly name: PrincipalName }

/**
 * A word for each principal, different for different ones: by it uploads are counted, manifests remember who pushed
 * them, tokens name their subject, and the audit its actor.
 */
export function wordOf(principal: Identity): string {
  return principal.kind === 'anonymous' ? 'anonymous' : `${principal.kind}:${principal.name}`
}

/** The reverse of `wordOf`; a bare name is a user's. Undefined for what names nobody. */
export function parseIdentity(word: string): Identity | undefined {
  if (word === 'anonymous') return { kind: 'anonymous' }
  const colon = word.indexOf(':')
  const kind = colon < 0 ? 'user' : word.slice(0, colon)
  const name = parsePrincipalName(word.slice(colon + 1))
  if (name === undefined) return undefined
  return kind === 'user' || kind === 'robot' || kind === 'workload' ? { kind, name } : undefined
}

/** For a registry that only its own machine can reach: everyone may do anything. */
export const openToAll: AccessPolicy = {
  permits: () => true,
  permitsEverywhere: () => true,
  reach: () => [''],
}
