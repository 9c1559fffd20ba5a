/**
 * Who asks, and may they: decided from what the request names, before storage is looked at (auth-security 1.8). What a
 * token of ours says is an upper bound; the rules of this moment are asked as well.
 */
import type { Middleware } from 'koa'
import { levels, wordOf } from '../auth/access.ts'
import { type Caller, type Refusal, renewed } from '../auth/authenticator.ts'
import { parseAuthorization } from '../auth/credentials.ts'
import type { View } from '../auth/directory.ts'
import type { Action } from '../auth/scopes.ts'
import { RegistryError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/names.ts'
import { refusedLogin } from './audited.ts'
import { challenged, type Demand, demandOf, type TokenServer } from './challenge.ts'
import type { Context, RequestState, Services } from './context.ts'
import { type Operation, requiredPermission } from './operations.ts'
import { originOf } from './origin.ts'

export const addressOf = (ctx: Context): string => ctx.state.client ?? ''

export const tokenServerOf = ({ access, url }: Services, ctx: Context): TokenServer => ({
  origin: originOf(ctx.req, url()),
  service: access.service(),
})

export function authorize(services: Services): Middleware<RequestState> {
  return async (ctx, next) => {
    const { operation } = ctx.state
    if (!operation) throw new RegistryError('PATH_UNKNOWN')
    if (requiredPermission[operation.kind] === 'nothing')
      services.limitRate(operation, undefined, addressOf(ctx))
    else await admit(services, ctx, operation)
    await next()
  }
}

async function admit(services: Services, ctx: Context, operation: Operation): Promise<void> {
  const view = await services.access.view(ctx.state.io)
  const outcome = await identify(services, ctx, operation, view)
  const isRefused = 'refused' in outcome
  if (isRefused)
    ctx.state.refused = refusedLogin(outcome, parseAuthorization(ctx.req.headers.authorization), view)
  services.limitRate(operation, isRefused ? undefined : outcome.principal, addressOf(ctx))
  const demand = demandOf(operation)
  if (isRefused) throw refusal(outcome, demand, tokenServerOf(services, ctx))
  ctx.state.view = view
  ctx.state.caller = outcome
  if (!view.isOpen) requirePermission(services, ctx, operation, outcome, demand)
}

/**
 * For who has waited for a body, before anything comes of it: whoever sent it must still be there and permitted, and the
 * protections of this moment bind. A client could draw out a body for as long as it likes. What was shown is not looked
 * at again: a token that was good for its first byte is good for its last.
 */
export async function admitAgain(services: Services, ctx: Context, operation: Operation): Promise<void> {
  const view = await services.access.view(ctx.state.io)
  const demand = demandOf(operation)
  const caller = renewed(ctx.state.caller, view, Date.now())
  if ('refused' in caller) throw refusal(caller, demand, tokenServerOf(services, ctx))
  ctx.state.view = view
  ctx.state.caller = caller
  if (!view.isOpen) requirePermission(services, ctx, operation, caller, demand)
}

async function identify(
  { access, registry }: Services,
  ctx: Context,
  operation: Operation,
  view: View,
): Promise<Caller | Refusal> {
  const { io } = ctx.state
  const credentials = parseAuthorization(ctx.req.headers.authorization)
  const outcome = await access.authenticate(credentials, addressOf(ctx), view, io)
  const isLate = 'refused' in outcome && outcome.refused === 'invalid-token'
  if (!isLate || !('address' in operation)) return outcome
  // A proxy may have kept the body until the token was over (auth-security 1.11): the upload must be its holder's.
  const late = await access.authenticateLate(credentials, addressOf(ctx), view, io)
  if ('refused' in late || !late.policy.permits(late.principal, 'push', operation.name)) return outcome
  const pusher = { name: operation.name, owner: wordOf(late.principal) }
  const isTheirs = await registry.uploads.find(pusher, operation.address, io).then(
    () => true,
    () => false,
  )
  return isTheirs ? late : outcome
}

/** What somebody is told who showed something that did not do. */
function refusal(refused: Refusal, demand: Demand, tokenServer: TokenServer): RegistryError {
  switch (refused.refused) {
    case 'wrong':
      return challenged(tokenServer, demand, { message: 'incorrect username or password' })
    case 'invalid-token':
      return challenged(tokenServer, demand, { message: 'the token is not valid', reason: 'invalid_token' })
    case 'slow-down':
      return new RegistryError('TOO_MANY_REQUESTS', {
        message: 'too many wrong passwords; wait, then try again with the right one',
        headers: { 'Retry-After': String(refused.retryAfterSeconds) },
      })
    case 'busy':
      return new RegistryError('BUSY', { headers: { 'Retry-After': '2' } })
  }
}

function requirePermission(
  services: Services,
  ctx: Context,
  operation: Operation,
  caller: Caller,
  demand: Demand,
): void {
  const permission = requiredPermission[operation.kind]
  if (permission === 'nothing' || permission === 'welcome') return
  if (caller.by === 'nothing') throw challenged(tokenServerOf(services, ctx), demand)
  if (permission === 'credentials') return
  if (permission === 'catalog') {
    if (mayList(caller)) return
    throw challenged(tokenServerOf(services, ctx), demand, {
      message: `access to ${demand.what} is not granted`,
      reason: 'insufficient_scope',
    })
  }
  // The type of the table says so; who changes it is not to open a door.
  if (!('name' in operation)) throw new RegistryError('DENIED')
  const { name } = operation
  if (caller.policy.permits(caller.principal, permission, name)) return
  const message = hint(caller, permission, name)
  if (caller.by === 'issued')
    throw challenged(tokenServerOf(services, ctx), demand, {
      message: message ?? `access to ${demand.what} is not granted`,
      reason: 'insufficient_scope',
    })
  throw new RegistryError('DENIED', { ...(message && { message }), detail: demand.detail && [demand.detail] })
}

/** Whether the list of all that its holder may see can be shown to who came with this. */
export function mayList({ bound }: Caller): boolean {
  return bound === undefined || bound.some(({ type }) => type === 'registry')
}

/** Who may look at a repository may know what is missing; to others it is as if it were not there. */
function hint({ principal, holder }: Caller, needed: Action, name: RepositoryName): string | undefined {
  const has = levels.findLast(level => holder.permits(principal, level, name))
  if (has === undefined || levels.indexOf(has) >= levels.indexOf(needed)) return undefined
  return `${wordOf(principal)} has ${has} on ${name}, which takes ${needed}`
}
