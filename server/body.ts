import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ArrivalPace } from '../kernel/incoming.ts'
import { RegistryError } from '../oci/errors.ts'
import { releaseBody } from './held-body.ts'

/** How fast a body must arrive, whoever takes it. */
export interface Pace extends ArrivalPace {
  /** Longest time for a body that is held in memory. */
  readonly smallBodyMs: number
}

export const usualPace: Pace = { idleMs: 60_000, bytesPerSecond: 1024, smallBodyMs: 30_000 }

/** Read and thrown away after an early answer, for clients that read no answer before they have sent everything. */
const lingerBytes = 16 * 1024 * 1024
/** How long a client that is still sending has to see an early answer. */
const lingerMs = 2_000

const expected = new WeakSet<IncomingMessage>()

/** Marks a request whose client waits for leave before it sends its body (RFC 9110, 10.1.1). */
export const waitsForLeave = (req: IncomingMessage) => void expected.add(req)

/** The length that a request says its body has; undefined where it does not say. REQUEST_INVALID is Node's to find. */
export function bodyLength(req: IncomingMessage): number | undefined {
  const header = req.headers['content-length']
  if (header !== undefined) return Number(header)
  return req.headers['transfer-encoding'] === undefined ? 0 : undefined
}

/** Tells a client that waits for it to send its body. */
export function admitBody(req: IncomingMessage, res: ServerResponse): void {
  if (expected.delete(req)) res.writeContinue()
}

/** Must be called before Node is to read a body. */
function begin(req: IncomingMessage, res: ServerResponse): void {
  releaseBody(req)
  admitBody(req, res)
}

const taken = new WeakMap<IncomingMessage, { whole: boolean }>()

/** Notes that a body is not Node's to read any more. What is returned says whether it was received to its end. */
export function markTaken(req: IncomingMessage): { whole: boolean } {
  const state = { whole: false }
  taken.set(req, state)
  return state
}

/**
 * A body to be stored as it comes. A client that falls silent, or drips, is cut off: the source fails with
 * REQUEST_TIMEOUT and what had arrived can be gone on with.
 */
export function openBody(req: IncomingMessage, res: ServerResponse, pace: Pace): IncomingMessage {
  begin(req, res)
  const startedMs = Date.now()
  const before = req.socket.bytesRead
  let seen = before
  const watch = setInterval(() => {
    const now = req.socket.bytesRead
    const average = ((now - before) * 1000) / (Date.now() - startedMs)
    // What waits here to be read is not the client's fault.
    if (req.readableLength === 0 && (now === seen || average < pace.bytesPerSecond))
      req.destroy(new RegistryError('REQUEST_TIMEOUT'))
    seen = now
  }, pace.idleMs)
  watch.unref()
  req.once('close', () => clearInterval(watch))
  return req
}

/** A whole body in memory. Throws `tooLarge` as soon as it is, REQUEST_TIMEOUT when it takes too long. */
export function readBody(
  req: IncomingMessage,
  res: ServerResponse,
  limit: number,
  pace: Pace,
  tooLarge: () => RegistryError,
): Promise<Buffer> {
  if ((bodyLength(req) ?? 0) > limit) return Promise.reject(tooLarge())
  begin(req, res)
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    const settle = (error?: Error) => {
      clearTimeout(timer)
      req.off('data', onData).off('end', onEnd).off('close', onClose).off('error', settle)
      if (error) reject(error)
      else resolve(Buffer.concat(chunks, length))
    }
    const onData = (chunk: Buffer) => {
      length += chunk.length
      chunks.push(chunk)
      if (length > limit) settle(tooLarge())
    }
    const onEnd = () => settle()
    const onClose = () => settle(new Error('the client went away before the end of the body'))
    const timer = setTimeout(() => settle(new RegistryError('REQUEST_TIMEOUT')), pace.smallBodyMs)
    req.on('data', onData).on('end', onEnd).on('close', onClose).on('error', settle)
  })
}

/** Whether more of a request's body is to come than anybody wants. */
export function isUnread(req: IncomingMessage): boolean {
  return !req.complete && bodyLength(req) !== 0
}

/**
 * Ends a connection whose client is still sending: after the answer, some more is read and thrown away, and what comes
 * then has to wait. A connection that is reset at once takes the answer with it.
 */
export function refuseBody(req: IncomingMessage): void {
  const { socket } = req
  const without = taken.get(req)
  if (without?.whole) return
  releaseBody(req)
  // Node would destroy the connection as soon as the answer is handed to the kernel.
  socket.destroySoon = () => socket.end()
  const before = socket.bytesRead
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  timer.unref()
  if (without) return
  req.on('data', () => {
    if (socket.bytesRead - before > lingerBytes) req.pause()
  })
  req.on('error', () => {})
  req.once('close', () => clearTimeout(timer))
  req.resume()
}
