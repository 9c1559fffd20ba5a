/**
 * What a client asks a token for, and what a token says was granted (Docker token scope, and the claim `access`):
 *
 *   scopes = scope *( SP scope )
 *   scope  = type [ "(" class ")" ] ":" name ":" action *( "," action )     repository:team/app:pull,push
 *
 * What is asked for and makes no sense is passed over, as the protocol wants; what a token says was made by us.
 */
import { parseRepositoryName, type RepositoryName } from '../oci/names.ts'
import type { Level } from './access.ts'

/** In the order in which they are written. Administration is not a matter of tokens. */
const actions = ['pull', 'push', 'delete'] as const satisfies readonly Level[]
export type Action = (typeof actions)[number]

/** One thing that a token is for. Repositories come once each; `catalog` is the list of what its holder may see. */
export type Access =
  | { readonly type: 'repository'; readonly name: RepositoryName; readonly actions: readonly Action[] }
  | { readonly type: 'registry'; readonly name: 'catalog'; readonly actions: readonly ['*'] }

/** A token for more would not fit into the header line that proxies allow: 8 KiB. */
export const maxScopes = 64

/**
 * All values of the parameter `scope`, in the order in which they were asked for; `*` is every action. Looks at the
 * first 64 scopes only.
 */
export function parseScopes(values: readonly string[]): readonly Access[] {
  const asked = new Map<string, Access>()
  for (const scope of firstWords(values)) {
    const access = parseScope(scope)
    if (!access) continue
    const key = `${access.type}:${access.name}`
    asked.set(key, merge(access, asked.get(key)))
  }
  return [...asked.values()]
}

/** What of it is granted: each action that is permitted, and nothing that was not asked for. */
export function grantedOf(
  asked: readonly Access[],
  permits: (action: Action, name: RepositoryName) => boolean,
): readonly Access[] {
  return asked.flatMap((access): readonly Access[] => {
    if (access.type === 'registry') return [access]
    const granted = access.actions.filter(action => permits(action, access.name))
    return granted.length > 0 ? [{ ...access, actions: granted }] : []
  })
}

/** As a challenge and a token's answer spell it. */
export function formatScopes(access: readonly Access[]): string {
  return access.map(({ type, name, actions }) => `${type}:${name}:${actions.join(',')}`).join(' ')
}

/** Whether a token that says this is for an action on a repository. */
export function covers(access: readonly Access[], action: Action, name: RepositoryName): boolean {
  return access.some(
    each => each.type === 'repository' && each.name === name && each.actions.includes(action),
  )
}

/** The claim `access` of a token. Undefined unless it is exactly what we write. */
export function parseAccess(claim: unknown): readonly Access[] | undefined {
  if (!Array.isArray(claim) || claim.length > maxScopes) return undefined
  const found = claim.map(parseEntry)
  const access = found.filter(entry => entry !== undefined)
  return access.length === claim.length ? access : undefined
}

function parseEntry(entry: unknown): Access | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined
  const { type, name, actions: list, ...others } = entry as Readonly<Record<string, unknown>>
  if (typeof type !== 'string' || typeof name !== 'string' || Object.keys(others).length > 0) return undefined
  if (!Array.isArray(list) || !list.every(action => typeof action === 'string')) return undefined
  const parsed = parseScope(`${type}:${name}:${list.join(',')}`)
  const isExact = parsed?.type === type && list.every((action, index) => action === parsed.actions[index])
  return isExact ? parsed : undefined
}

/** Splits no more of a text than is looked at. */
function firstWords(values: readonly string[]): readonly string[] {
  const words: string[] = []
  for (const value of values)
    for (const [word] of value.matchAll(/\S+/g)) if (words.push(word) === maxScopes) return words
  return words
}

function parseScope(scope: string): Access | undefined {
  // A name may hold a colon of its own, that of a port: so the first and the last are those that part.
  const first = scope.indexOf(':')
  const last = scope.lastIndexOf(':')
  if (first === last) return undefined
  const [, type] = /^([a-z0-9]+)(?:\([a-z0-9]+\))?$/.exec(scope.slice(0, first)) ?? []
  const name = scope.slice(first + 1, last)
  const asked = scope.slice(last + 1).split(',')
  if (type === 'registry')
    return name === 'catalog' && asked.includes('*') ? { type, name, actions: ['*'] } : undefined
  const repository = type === 'repository' ? repositoryNamed(name) : undefined
  const known = actions.filter(action => asked.includes(action) || asked.includes('*'))
  return repository && known.length > 0 ? { type: 'repository', name: repository, actions: known } : undefined
}

function merge(access: Access, before: Access | undefined): Access {
  if (access.type !== 'repository' || before?.type !== 'repository') return access
  const both: readonly Action[] = [...before.actions, ...access.actions]
  return { ...access, actions: actions.filter(action => both.includes(action)) }
}

function repositoryNamed(text: string): RepositoryName | undefined {
  try {
    return parseRepositoryName(text)
  } catch {
    return undefined
  }
}
