/** A wire to an S3 store that writes down what passes and fails when told to. Clients take it for the store. */
import { once } from 'node:events'
import {
  Agent,
  type ClientRequest,
  createServer,
  type IncomingMessage,
  request,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { withoutConditions } from './s3-conditions.ts'
import { errorXml, faultQueue, type Injected, type Injection, type S3Fault } from './s3-faults.ts'
import type { S3Place } from './s3-requests.ts'
import { readS3Request, type S3RequestKind, type S3WireRequest } from './s3-wire.ts'
import { pause } from './until.ts'

export interface S3Passed extends S3WireRequest {
  /** What the client was answered; 0 when it was not, or not yet. */
  readonly status: number
  /** Bytes of the answer's body that have passed. */
  readonly bodyBytes: number
  readonly fault: S3Fault['kind'] | undefined
}

/** A client that a registry has sent to the store, with an address that is all it shows. */
export const isByAddress = ({ method, query }: S3WireRequest): boolean =>
  method === 'GET' && query.has('X-Amz-Signature')

export interface S3ProxyOptions {
  /** Whose conditional headers the store never sees. With all PUT, POST and DELETE it is one that knows no conditions. */
  readonly ignoresConditions?: (request: S3WireRequest) => boolean
}

export interface S3Proxy extends S3Place, AsyncDisposable {
  /** Every request since the proxy started, in the order of their heads, those that something happened to among them. */
  readonly requests: readonly S3Passed[]
  /** How many of each kind since a position in `requests`; kinds without any are absent. */
  counts(since?: number): Partial<Record<S3RequestKind, number>>
  /** How many connections clients have made. */
  connections(): number
  /** How many requests wait for the end of their answers. */
  underWay(): number
  inject(fault: S3Fault, injection?: Injection): Injected
  /** How long each request waits before it goes on. */
  delay(ms: number): void
  /** How far the Date of answers is from what the store says. */
  shiftDate(ms: number): void
  /** Ends all connections and refuses new ones, until the function it returns is called. */
  vanish(): Promise<() => Promise<void>>
}

export async function startS3Proxy(store: S3Place, options: S3ProxyOptions = {}): Promise<S3Proxy> {
  const { ignoresConditions = () => false } = options
  const requests: S3Passed[] = []
  const faults = faultQueue()
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
  let latencyMs = 0
  let dateShiftMs = 0
  let underWay = 0
  let connections = 0

  const forward = (incoming: IncomingMessage, passing: S3WireRequest): ClientRequest => {
    const { method, url: path, rawHeaders } = incoming
    const headers = ignoresConditions(passing) ? withoutConditions(incoming, store) : hopless(rawHeaders)
    const { hostname, port } = store.endpoint
    // The Host that the client signed goes on as it is.
    return request({ hostname, port, method, path, headers, agent })
  }

  async function pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const passing = readS3Request(incoming.method ?? '', incoming.url ?? '', incoming.headers)
    const fault = faults.next(passing)
    let bodyBytes = 0
    requests.push({
      ...passing,
      get bodyBytes() {
        return bodyBytes
      },
      fault: fault?.kind,
      get status() {
        return outgoing.headersSent ? outgoing.statusCode : 0
      },
    })
    if (latencyMs > 0) await pause(latencyMs)
    if (fault?.kind === 'hang') return
    if (fault?.kind === 'resetAtOnce') return reset(incoming)
    if (fault?.kind === 'error') return refuse(incoming, outgoing, fault)

    const forwarded = forward(incoming, passing)
    if (fault?.kind === 'cutRequest') {
      if (incoming.headers.expect !== undefined) outgoing.writeContinue()
      return await cutRequest(incoming, forwarded, fault.storeSees)
    }
    outgoing.once('close', () => {
      if (!outgoing.writableFinished) forwarded.destroy()
    })
    const answered = once(forwarded, 'response') as Promise<[IncomingMessage]>
    // Once there is an answer, what fails is the answer, or the rest of a body that the store had no interest in.
    forwarded.on('error', () => {}).on('continue', () => outgoing.writeContinue())
    send(incoming, forwarded)
    const [answer] = await answered
    if (fault?.kind === 'loseAnswer') {
      for await (const _ of answer);
      return reset(incoming)
    }
    outgoing.sendDate = false
    outgoing.writeHead(answer.statusCode ?? 502, redated(hopless(answer.rawHeaders), dateShiftMs))
    if (fault?.kind === 'cutAnswer') return await cutAnswer(answer, outgoing)
    answer.on('data', (chunk: Buffer) => {
      bodyBytes += chunk.length
    })
    await pipeline(answer, outgoing)
    if (!forwarded.writableEnded) forwarded.destroy()
    if (!incoming.complete) incoming.resume()
  }

  // Whatever fails on one side shows on the other as a connection that is reset.
  const handle = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    // Taken now, as a connection that has ended is no longer there to be asked for.
    const { socket } = incoming
    underWay++
    outgoing.once('close', () => {
      underWay--
    })
    pass(incoming, outgoing).catch(() => socket.resetAndDestroy())
  }
  const server = createServer({ keepAliveTimeout: 60_000 }, handle).on('checkContinue', handle)
  server.on('connection', () => {
    connections++
  })
  const listen = async (at: number) => {
    server.listen(at, '127.0.0.1')
    await once(server, 'listening')
  }
  const close = async () => {
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  await listen(0)
  // A TCP server's address is never a string.
  const { port } = server.address() as AddressInfo

  const { region, accessKeyId, secretAccessKey } = store
  return {
    region,
    accessKeyId,
    secretAccessKey,
    endpoint: new URL(`http://127.0.0.1:${port}`),
    requests,
    counts: (since = 0) => {
      const counts: Partial<Record<S3RequestKind, number>> = {}
      for (const { kind } of requests.slice(since)) counts[kind] = (counts[kind] ?? 0) + 1
      return counts
    },
    connections: () => connections,
    underWay: () => underWay,
    inject: faults.inject,
    delay(ms) {
      latencyMs = ms
    },
    shiftDate(ms) {
      dateShiftMs = ms
    },
    async vanish() {
      await close()
      return () => listen(port)
    },
    async [Symbol.asyncDispose]() {
      if (server.listening) await close()
      agent.destroy()
    },
  }
}

const reset = (incoming: IncomingMessage) => void incoming.socket.resetAndDestroy()

/**
 * A store that refuses a condition answers before it has read the body, and hangs up. Who writes then, or piece by piece, may
 * learn of the end before the answer, and lose it. So such a body goes at once, and not before it is wanted.
 */
function send(incoming: IncomingMessage, forwarded: ClientRequest): void {
  const { expect, 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = incoming.headers
  const isConditional = ifMatch !== undefined || ifNoneMatch !== undefined
  if (!isConditional || expect !== undefined) forwarded.flushHeaders()
  if (!isConditional) return void incoming.pipe(forwarded)
  const wanted = expect === undefined ? undefined : once(forwarded, 'continue')
  Promise.all([buffer(incoming), wanted]).then(
    ([bytes]) => forwarded.end(bytes),
    () => forwarded.destroy(),
  )
}

function refuse(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { status, code, message }: Extract<S3Fault, { kind: 'error' }>,
): void {
  const body = errorXml(code, message)
  outgoing.writeHead(status, { 'Content-Type': 'application/xml', 'Content-Length': Buffer.byteLength(body) })
  // Who has not been told to continue sends no body; the rest of any other is read, so that the connection can go on.
  incoming.resume()
  outgoing.end(incoming.method === 'HEAD' ? undefined : body)
}

async function cutRequest(
  incoming: IncomingMessage,
  forwarded: ClientRequest,
  storeSees: 'reset' | 'end',
): Promise<void> {
  // What the store still says has nobody to hear it.
  forwarded.on('error', () => {}).on('response', answer => answer.resume())
  // In chunks of its own, a body's length is said elsewhere.
  const { 'content-length': length, 'x-amz-decoded-content-length': decoded } = incoming.headers
  let left = Math.floor(Number(length ?? decoded ?? 0) / 2)
  for await (const chunk of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    const some = chunk.subarray(0, left)
    left -= some.length
    await new Promise(written => forwarded.write(some, written))
    if (left === 0) break
  }
  if (storeSees === 'reset') forwarded.socket?.resetAndDestroy()
  else forwarded.destroy()
  reset(incoming)
}

async function cutAnswer(answer: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  let left = Math.floor(Number(answer.headers['content-length'] ?? 0) / 2)
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    const some = chunk.subarray(0, left)
    left -= some.length
    await new Promise(written => outgoing.write(some, written))
    if (left === 0) break
  }
  outgoing.destroy()
}

const hops = new Set(['connection', 'keep-alive', 'proxy-connection', 'upgrade'])

/** Names and values in turn, without those that are about one connection. */
function hopless(raw: readonly string[]): string[] {
  return raw.filter((_, index) => !hops.has((raw[index - (index % 2)] ?? '').toLowerCase()))
}

function redated(raw: readonly string[], shiftMs: number): string[] {
  return raw.map((text, index) =>
    shiftMs !== 0 && index % 2 === 1 && raw[index - 1]?.toLowerCase() === 'date'
      ? new Date(Date.parse(text) + shiftMs).toUTCString()
      : text,
  )
}
