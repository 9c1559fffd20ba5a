import type { RepositoryName } from '../oci/names.ts'

/** What a token is asked for: `repository:team/app:pull,push` (Docker's token protocol). */
export type Scope = string

export const catalogScope: Scope = 'registry:catalog:*'

export function repositoryScope(name: RepositoryName, ...actions: ('pull' | 'push' | 'delete')[]): Scope {
  return `repository:${name}:${actions.join(',')}`
}

/** A token server gets no more than this, whatever a registry demands. */
const maxScopes = 64

/** Each resource once, with all its actions. A name may hold a colon: what follows the last one are the actions. */
export function mergeScopes(scopes: readonly Scope[]): readonly Scope[] {
  const actionsOf = new Map<string, Set<string>>()
  for (const scope of scopes.flatMap(text => text.split(' ')).filter(Boolean)) {
    const colon = scope.lastIndexOf(':')
    const resource = scope.slice(0, Math.max(colon, 0))
    const actions = actionsOf.get(resource) ?? new Set()
    for (const action of scope.slice(colon + 1).split(',')) actions.add(action)
    actionsOf.set(resource, actions)
  }
  return [...actionsOf]
    .filter(([resource]) => resource !== '')
    .slice(0, maxScopes)
    .map(([resource, actions]) => `${resource}:${[...actions].sort().join(',')}`)
    .sort()
}
