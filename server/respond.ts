import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Middleware } from 'koa'
import type { FileSender } from '../kernel/sender.ts'
import { RegistryError } from '../oci/errors.ts'
import type { ByteRange } from '../oci/ranges.ts'
import type { OpenContent } from '../storage/object-store.ts'
import type { Answer } from './answer.ts'
import { isUnread, refuseBody } from './body.ts'
import { type Context, type RequestState, type Services, targetOf } from './context.ts'
import { sendFile } from './send-file.ts'

/** Of every answer: nothing that anyone pushed may run in a browser, or be taken for another type. */
const safeHeaders = [
  ...['X-Content-Type-Options', 'nosniff'],
  ...['Content-Security-Policy', "sandbox; default-src 'none'"],
  ...['Cross-Origin-Resource-Policy', 'same-origin'],
  ...['Docker-Distribution-Api-Version', 'registry/2.0'],
]

/**
 * The one place where an answer is sent and where an error becomes one. Koa's own way guesses types, drops headers and
 * costs as much as all the rest of a small request.
 */
export function respond(
  { sender }: Services,
  onError: (ctx: Context, error: unknown) => void,
): Middleware<RequestState> {
  return async (ctx, next) => {
    ctx.respond = false
    let answer: Answer
    try {
      await next()
      answer = ctx.state.answer ?? answerTo(new RegistryError('PATH_UNKNOWN'), ctx)
    } catch (error) {
      onError(ctx, error)
      answer = answerTo(error, ctx)
    }
    try {
      await send(ctx, answer, sender(), error => onError(ctx, error))
    } catch (error) {
      onError(ctx, error)
      // Too late to say anything: a body that ends here must not look whole.
      ctx.res.destroy()
    }
  }
}

function answerTo(error: unknown, ctx: Context): Answer {
  const known = error instanceof RegistryError ? error : new RegistryError('UNKNOWN', { cause: error })
  // What asks for tokens reads errors as the registry's.
  const outside = !/^\/(?:v2|auth)\//.test(targetOf(ctx.req))
  return {
    status: known.status,
    headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', ...known.headers },
    body: Buffer.from(JSON.stringify(outside ? { message: known.message } : known)),
  }
}

/** No length where there can be no body (RFC 9110, 8.6). */
function lengthOf({ status, body, length }: Answer): number | undefined {
  if (status === 204 || status === 304) return undefined
  if (body === undefined) return length ?? 0
  return Buffer.isBuffer(body) ? body.length : body.span.end - body.span.start
}

async function send(
  ctx: Context,
  answer: Answer,
  sender: FileSender | undefined,
  onError: (error: unknown) => void,
): Promise<void> {
  const { req, res } = ctx
  const { status, headers, body } = answer
  const lines = [...safeHeaders, 'X-Request-Id', ctx.state.id]
  for (const name in headers) lines.push(name, headers[name] ?? '')
  const length = lengthOf(answer)
  if (length !== undefined) lines.push('Content-Length', String(length))
  if (isUnread(req)) {
    lines.push('Connection', 'close')
    refuseBody(req)
  }
  // All at once: headers set one by one are looked at twice.
  res.writeHead(status, lines)
  if (body === undefined || Buffer.isBuffer(body)) {
    if (body === undefined || req.method === 'HEAD') res.end()
    else res.end(body)
    return
  }
  if (body.content.kind === 'stream') await sendStream(res, body.content.stream, onError)
  else await sendOpenFile(ctx, res, body.content, body.span, sender)
}

async function sendStream(res: ServerResponse, stream: Readable, onError: (error: unknown) => void) {
  // Those that watch over this answer already and pipeline's own are more than Node thinks right.
  res.setMaxListeners(20)
  // Before the connection is closed, and so before the request is reported.
  stream.once('error', onError)
  await pipeline(stream, res)
}

async function sendOpenFile(
  ctx: Context,
  res: ServerResponse,
  file: Extract<OpenContent, { kind: 'file' }>,
  span: ByteRange,
  sender: FileSender | undefined,
) {
  try {
    await sendFile(ctx.req, res, file, span, sender, ctx.state.io)
  } finally {
    file.close()
  }
}
