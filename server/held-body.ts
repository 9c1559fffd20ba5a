/** Request bodies that Node is kept from reading, so that somebody else can. */
import type { IncomingMessage } from 'node:http'
import { type ChunkedPlace, chunkedStart, readChunked } from '../kernel/chunked.ts'
import { currentBlock, descriptorOf, startReading, stopReading } from './handle.ts'

/** How far Node had read a chunked body when it was stopped. */
export interface Hold {
  readonly place: ChunkedPlace
  /** Bytes of content. */
  readonly bytes: number
}

const holds = new WeakMap<IncomingMessage, Hold>()

/**
 * Keeps Node from reading on in the chunked body of an upload, so that it is known where in it another may go on. Must be
 * called while the request is announced. Nothing arrives any more until `releaseBody`.
 */
export function holdBody(req: IncomingMessage): void {
  const { socket, method, headers } = req
  if (headers['transfer-encoding'] === undefined || (method !== 'PATCH' && method !== 'PUT')) return
  const body = descriptorOf(socket) === undefined ? undefined : bodyInBlock(req)
  if (body === undefined) return
  let bytes = 0
  const place = readChunked(chunkedStart, body, (start, end) => {
    bytes += end - start
  })
  if (place && place.expects !== 'nothing' && stopReading(socket)) holds.set(req, { place, bytes })
}

export const heldAt = (req: IncomingMessage): Hold | undefined => holds.get(req)

/** Lets Node read on in a body that was held. */
export function releaseBody(req: IncomingMessage): void {
  const { socket } = req
  // One that Node has paused, it resumes.
  if (holds.delete(req) && !socket.isPaused()) startReading(socket)
}

/** Whether what came of a chunked body together with its head is none. Node takes extensions of chunks; nobody sends them. */
export function isMalformed(req: IncomingMessage): boolean {
  if (req.headers['transfer-encoding'] === undefined) return false
  const body = bodyInBlock(req)
  return body !== undefined && readChunked(chunkedStart, body, () => {}) === undefined
}

/** What came of a body together with its head; undefined where that is not the first in what Node has just read. */
function bodyInBlock({ socket, method, url }: IncomingMessage): Buffer | undefined {
  const block = currentBlock(socket)
  const firstLine = `${method} ${url} HTTP/1.1\r\n`
  if (block?.toString('latin1', 0, firstLine.length) !== firstLine) return undefined
  const headEnd = block.indexOf('\r\n\r\n')
  return headEnd < 0 ? undefined : block.subarray(headEnd + 4)
}
