import type { Server as HttpServer, IncomingMessage, RequestListener } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Server, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { codeOf, type Fault, RegistryError } from '../oci/errors.ts'
import { waitsForLeave } from './body.ts'
import { type Certificate, secureOptions } from './certificate.ts'
import { isMalformed } from './held-body.ts'
import { createServer, https, STATUS_CODES } from './node-http.ts'
import type { Observe } from './observe.ts'
import { inTurn } from './turns.ts'

/** What one client may take of a worker. */
export interface HttpLimits {
  readonly headersMs: number
  readonly keepAliveMs: number
  readonly headerBytes: number
  readonly headerCount: number
  readonly connections: number
  readonly connectionsPerAddress: number
  /** How long a client may take nothing of an answer. */
  readonly stallMs: number
  /** Requests of one connection that wait for the answer to another. */
  readonly pipelined: number
}

export const usualLimits: HttpLimits = {
  headersMs: 15_000,
  keepAliveMs: 65_000,
  headerBytes: 32 * 1024,
  headerCount: 100,
  connections: 8192,
  connectionsPerAddress: 1024,
  stallMs: 300_000,
  pipelined: 100,
}

/** How long a refused connection may take to read why. */
const lingerMs = 1000

/** Headers of which a second one is an attempt to be understood in two ways, each with a bit of its own. */
const singular = new Map(
  ['host', 'authorization', 'content-range', 'content-type', 'if-match', 'range'].map(
    (name, index) => [name, 1 << index] as const,
  ),
)

/** Finds what Node's parser lets pass and two programs may read differently (RFC 9112, 6.1 and 11.2). */
function fault(req: IncomingMessage, limits: HttpLimits): Fault | undefined {
  const { rawHeaders, httpVersion } = req
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return 'REQUEST_INVALID'
  if (rawHeaders.length > 2 * limits.headerCount) return 'HEADERS_TOO_LARGE'
  let seen = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]?.toLowerCase() ?? ''
    if (name === 'transfer-encoding') {
      if (httpVersion !== '1.1' || rawHeaders[at + 1]?.toLowerCase() !== 'chunked') return 'REQUEST_INVALID'
    }
    const bit = singular.get(name) ?? 0
    if (seen & bit) return 'REQUEST_INVALID'
    seen |= bit
  }
  return isMalformed(req) ? 'REQUEST_INVALID' : undefined
}

/** What failed to encrypt has no way to be answered. */
const isTlsFault = (error: Error) => /^ERR_(?:SSL|TLS|OSSL)_/.test(codeOf(error) ?? '')

const faultOf = (error: Error): Fault => {
  switch (codeOf(error)) {
    case 'HPE_HEADER_OVERFLOW':
      return 'HEADERS_TOO_LARGE'
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 'REQUEST_TIMEOUT'
    default:
      return 'REQUEST_INVALID'
  }
}

/** A whole answer for a connection that no request can be read from. */
function lastWords(fault: Fault): string {
  const error = new RegistryError(fault)
  const body = JSON.stringify(error)
  return (
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\nConnection: close\r\n` +
    `Content-Type: application/json\r\nX-Content-Type-Options: nosniff\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  )
}

/** A connection that is reset at once takes the answer with it, so it goes on being read for a moment. */
function refuse(socket: Duplex, fault: Fault): void {
  socket.end(lastWords(fault))
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  timer.unref()
  socket.once('close', () => clearTimeout(timer))
}

/**
 * An HTTP/1.1 server that reads strictly, and in which no client can hold on to more than its share. With a certificate it
 * speaks TLS.
 */
export function createHttpServer(
  handle: RequestListener,
  observe: Observe,
  limits: HttpLimits,
  isProxy: (address: string) => boolean,
  certificate?: Certificate,
): HttpServer | HttpsServer {
  const screened: RequestListener = (req, res) => {
    const found = fault(req, limits)
    if (found === undefined) return handle(req, res)
    req.resume()
    refuse(req.socket, found)
  }
  const turns = inTurn(screened, limits.pipelined)
  const options = {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersMs,
    // A layer may take hours; what watches over bodies is in body.ts.
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: Math.min(5000, limits.headersMs),
    noDelay: true,
  }
  const server = certificate
    ? https().createServer(
        {
          ...options,
          ...secureOptions(certificate),
          ALPNProtocols: ['http/1.1'],
          handshakeTimeout: limits.headersMs,
        },
        turns.take,
      )
    : createServer(options, turns.take)
  // `fault` counts them: beyond its own count Node would drop headers and say nothing.
  server.maxHeadersCount = 0
  server.maxConnections = limits.connections
  server.setTimeout(limits.stallMs, socket => {
    // Who waits for us is left alone, and so is a socket that somebody else writes to: see kernel/outgoing.ts.
    if (socket.writableLength > 0 || !turns.isBusy(socket)) socket.destroy()
  })
  server.on('checkContinue', (req, res) => {
    waitsForLeave(req)
    turns.take(req, res)
  })
  server.on('clientError', (error, socket) => {
    // It has been refused: what still comes from it is thrown away.
    if (socket.writableEnded) return
    observe({
      event: 'client error',
      from: 'remoteAddress' in socket ? String(socket.remoteAddress) : undefined,
      code: codeOf(error),
    })
    const isDeaf = !socket.writable || isTlsFault(error) || codeOf(error) === 'ECONNRESET'
    if (turns.isAnswering(socket) || isDeaf) socket.destroy()
    else refuse(socket, faultOf(error))
  })
  shareByAddress(server, limits.connectionsPerAddress, isProxy)
  return server
}

/** A proxy's connections are those of many clients. */
function shareByAddress(server: Server, most: number, isProxy: (address: string) => boolean): void {
  const counts = new Map<string, number>()
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress
    if (address === undefined || isProxy(address)) return
    const count = (counts.get(address) ?? 0) + 1
    if (count > most) return void socket.destroy()
    counts.set(address, count)
    socket.once('close', () => {
      const left = (counts.get(address) ?? 1) - 1
      if (left === 0) counts.delete(address)
      else counts.set(address, left)
    })
  })
}
