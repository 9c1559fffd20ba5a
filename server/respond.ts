import type { Middleware } from 'koa'
import { RegistryError } from '../oci/errors.ts'
import { isUnread, refuseBody } from './body.ts'
import { type Context, type RequestState, targetOf } from './context.ts'

/** Of every answer: nothing that anyone pushed may run in a browser, or be taken for another type. */
const safeHeaders = {
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "sandbox; default-src 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Docker-Distribution-Api-Version': 'registry/2.0',
}

/** The one place where an error becomes an answer. Koa's own would drop headers and speak text. */
export function respond(onError: (ctx: Context, error: unknown) => void): Middleware<RequestState> {
  return async (ctx, next) => {
    for (const [name, value] of Object.entries(safeHeaders)) ctx.res.setHeader(name, value)
    ctx.res.setHeader('X-Request-Id', ctx.state.id)
    try {
      await next()
    } catch (error) {
      onError(ctx, error)
      if (ctx.res.headersSent || !ctx.res.writable) {
        // Too late to say anything: a body that ends here must not look whole.
        ctx.respond = false
        ctx.res.destroy()
        return
      }
      answer(ctx, error instanceof RegistryError ? error : new RegistryError('UNKNOWN', { cause: error }))
    }
    if (isUnread(ctx.req)) refuseBody(ctx.req, ctx.res)
  }
}

function answer(ctx: Context, error: RegistryError): void {
  ctx.status = error.status
  ctx.set({ 'Cache-Control': 'no-store', ...error.headers })
  ctx.set('Content-Type', 'application/json')
  const outside = !targetOf(ctx.req).startsWith('/v2/')
  ctx.body = JSON.stringify(outside ? { message: error.message } : error)
}

/** An answer without a body: Koa would write the status out in words, and drop headers that describe a body. */
export function empty(ctx: Context, status: number, headers: Readonly<Record<string, string>>): void {
  ctx.body = null
  ctx.status = status
  ctx.set(headers)
  if (status !== 204 && status !== 304) ctx.length = 0
}

export function json(ctx: Context, body: unknown, mediaType = 'application/json'): void {
  ctx.set('Content-Type', mediaType)
  ctx.body = Buffer.from(JSON.stringify(body))
}

/** Where the rest of a listing is (RFC 8288). */
export function linkNext(
  ctx: Context,
  path: string,
  query: Readonly<Record<string, string | undefined>>,
): void {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined)
  ctx.set('Link', `<${path}?${new URLSearchParams(given)}>; rel="next"`)
}

/** Whether an If-None-Match or If-Match header names this entity (RFC 9110, 8.8.3; weak comparison). */
export function namesEntity(header: string, digest: string): boolean {
  return header.split(',').some(each => {
    const tag = each.trim().replace(/^W\//, '')
    return tag === '*' || tag === `"${digest}"`
  })
}
