import Koa from 'koa'
import { wordOf } from '../auth/access.ts'
import { type Answer, json } from './answer.ts'
import { audited } from './audited.ts'
import { authorize } from './authorize.ts'
import { deleteBlob, getBlob, headBlob } from './blobs.ts'
import { type Context, nobody, type RequestState, type Services, targetOf } from './context.ts'
import { alive, ready } from './health.ts'
import { catalog, listReferrers, listTags, search } from './listings.ts'
import { deleteManifest, getManifest, headManifest, putManifest } from './manifests.ts'
import {
  type Kind,
  type Operation,
  type OperationOf,
  parseOperation,
  requiredPermission,
} from './operations.ts'
import { protectedRegistry } from './protected-registry.ts'
import { respond } from './respond.ts'
import { issueToken, issueTokenByForm, signingKeys } from './token.ts'
import {
  appendUpload,
  cancelUpload,
  finishUpload,
  mountOrStart,
  receiveBlob,
  startUpload,
  uploadStatus,
} from './uploads.ts'

type Handlers = {
  readonly [K in Kind]: (services: Services, ctx: Context, operation: OperationOf<K>) => Promise<Answer>
}

/** The whole API on one screen. An operation without a handler does not compile. */
const handlers: Handlers = {
  ping: async () => json({}),
  headBlob,
  getBlob,
  deleteBlob,
  startUpload,
  mountBlob: mountOrStart,
  receiveBlob,
  appendUpload,
  finishUpload,
  uploadStatus,
  cancelUpload,
  headManifest,
  getManifest,
  putManifest,
  deleteManifest,
  listTags,
  listReferrers,
  catalog,
  search,
  searchPing: async () => json(true),
  issueToken,
  issueTokenByForm,
  signingKeys,
  alive,
  ready,
}

/** Every request goes through these six, in this order. */
export function createApp(services: Services): Koa<RequestState> {
  const app = new Koa<RequestState>()
  app.use(observed(services))
  app.use(respond(services, (ctx, error) => failures.set(ctx.req, error)))
  app.use(async (ctx, next) => {
    ctx.state.operation = parseOperation(ctx.method, targetOf(ctx.req))
    await next()
  })
  app.use(audited(services.audit))
  app.use(authorize(services))
  app.use(async ctx => {
    const { operation } = ctx.state
    if (operation) ctx.state.answer = await dispatch(services, ctx, operation)
  })
  // Koa reports here what went wrong after the headers had gone; `observed` has it already.
  app.on('error', () => {})
  return app
}

/** TypeScript cannot see that a table's entry fits the operation whose kind it was found by. */
function dispatch(services: Services, ctx: Context, operation: Operation): Promise<Answer> {
  const handle = handlers[operation.kind] as (
    services: Services,
    ctx: Context,
    operation: Operation,
  ) => Promise<Answer>
  const { view } = ctx.state
  // Protections bind changes. What may be done with `pull` makes none; if it ever does, this is to go.
  if (!view || requiredPermission[operation.kind] === 'pull') return handle(services, ctx, operation)
  // A handler that has waited for a body has looked again (admitAgain).
  const registry = protectedRegistry(services.registry, () => (ctx.state.view ?? view).policy)
  return handle({ ...services, registry }, ctx, operation)
}

/** What went wrong with a request, for its log line. */
const failures = new WeakMap<object, unknown>()

const acceptableId = /^[\w.-]{1,64}$/

/** Gives a request its id, its address and a signal that its client has gone, and reports it when its answer has. */
function observed({ observe, clients }: Services): Koa.Middleware<RequestState> {
  const prefix = Math.random().toString(36).slice(2, 8)
  let count = 0
  return async (ctx, next) => {
    const startedMs = performance.now()
    const given = ctx.get('X-Request-Id')
    const id = acceptableId.test(given) ? given : `${prefix}-${(++count).toString(36)}`
    const client = clients.of(ctx.req)
    const gone = new AbortController()
    const abort = () => gone.abort(new Error('the client went away'))
    if (ctx.req.socket.destroyed) abort()
    ctx.state = { id, io: { signal: gone.signal }, client, caller: nobody }
    ctx.res.once('close', () => {
      if (!ctx.res.writableFinished) abort()
      const { operation, caller } = ctx.state
      const status = ctx.res.writableFinished ? ctx.res.statusCode : 499
      const error = ctx.state.refused?.because ?? failures.get(ctx.req)
      observe({
        event: 'request',
        id,
        method: ctx.method,
        operation,
        status,
        ms: performance.now() - startedMs,
        from: client,
        who: wordOf(caller.principal),
        by: caller.by,
        error,
      })
    })
    await next()
  }
}
