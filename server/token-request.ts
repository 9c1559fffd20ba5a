import { type Access, parseScopes } from '../auth/scopes.ts'

/** What somebody asks a token for. All else that clients say with it (account, client_id, offline_token) decides nothing. */
export interface TokenRequest {
  /** For which registry, in the words of its challenges. */
  readonly service: string | undefined
  /** Undefined when nothing is asked for: whoever asks so wants to know whether a password is right. */
  readonly asked: readonly Access[] | undefined
}

/** The parameters of a query or a form. A scope may stand in a parameter of its own, or beside others in one. */
export function parseTokenRequest(parameters: URLSearchParams): TokenRequest {
  const scopes = parameters.getAll('scope')
  const asksForSomething = scopes.some(scope => scope.trim() !== '')
  return {
    service: parameters.get('service') || undefined,
    asked: asksForSomething ? parseScopes(scopes) : undefined,
  }
}
