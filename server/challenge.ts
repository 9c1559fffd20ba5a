/** What is said to who may not: one challenge, of one scheme, the same for what is not there and what is not theirs. */
import type { Action } from '../auth/scopes.ts'
import { RegistryError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/names.ts'
import type { Operation } from './operations.ts'
import { requiredPermission } from './operations.ts'

/** Where tokens come from. */
export interface TokenServer {
  /** What clients call this registry, in front of a path. */
  readonly origin: string
  readonly service: string
}

/** What a token would have to be for. */
export interface Demand {
  /** As the challenge spells it; undefined where any token will do. */
  readonly scope: string | undefined
  /** What is missing, one entry for each thing. */
  readonly detail?: readonly { readonly type: string; readonly name: string; readonly action: string }[]
  /** For people. */
  readonly what: string
}

type Reason = 'invalid_token' | 'insufficient_scope'

/** Who may push is asked for pull too: clients look before they send. */
const actionsAskedFor = { pull: 'pull', push: 'pull,push', delete: 'delete' } as const satisfies Record<
  Action,
  string
>

export function demandOf(operation: Operation): Demand {
  const action = requiredPermission[operation.kind]
  if (action === 'catalog')
    return {
      scope: 'registry:catalog:*',
      detail: [{ type: 'registry', name: 'catalog', action: '*' }],
      what: 'the list of repositories',
    }
  if (!('name' in operation) || !isAction(action)) return { scope: undefined, what: 'this registry' }
  const { name } = operation
  return {
    scope: `repository:${name}:${actionsAskedFor[action]}`,
    detail: [{ type: 'repository', name, action }],
    what: `repository ${name}`,
  }
}

/** For a mount whose source the token does not cover, although its holder could have a token that does. */
export function mountDemand(name: RepositoryName, from: RepositoryName): Demand {
  return {
    scope: `repository:${name}:${actionsAskedFor.push} repository:${from}:pull`,
    detail: [{ type: 'repository', name: from, action: 'pull' }],
    what: `repository ${from}`,
  }
}

export function challenged(
  { origin, service }: TokenServer,
  demand: Demand,
  { message, reason }: { readonly message?: string; readonly reason?: Reason } = {},
): RegistryError {
  const parameters = {
    realm: `${origin}/auth/token`,
    service,
    ...(demand.scope !== undefined && { scope: demand.scope }),
    ...(reason && { error: reason }),
  }
  const quoted = Object.entries(parameters).map(([name, value]) => `${name}="${value}"`)
  return new RegistryError('UNAUTHORIZED', {
    ...(message !== undefined && { message }),
    // In an array of its own: it is the detail of one error.
    detail: demand.detail && [demand.detail],
    headers: { 'WWW-Authenticate': `Bearer ${quoted.join(',')}` },
  })
}

const isAction = (permission: string): permission is Action => Object.hasOwn(actionsAskedFor, permission)
