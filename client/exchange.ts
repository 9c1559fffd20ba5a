/** One request and its answer, as bytes: nothing here knows what a registry is. */

import { once } from 'node:events'
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { Readable } from 'node:stream'
import { codeOf } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import { ClientError } from './client-error.ts'
import { unreachable } from './unreachable.ts'

/** What is sent. It may have to be sent again, so it can be opened more than once. */
export interface Body {
  readonly size: number
  open(io: Io): Promise<AsyncIterable<Uint8Array>> | AsyncIterable<Uint8Array>
}

export interface Outgoing {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Body
}

/** Whoever gets one reads its body to the end or destroys it. */
export interface Answer {
  readonly url: URL
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Readable
}

export const bytesBody = (bytes: Buffer): Body => ({
  size: bytes.length,
  async *open() {
    yield bytes
  },
})

const connections = { keepAlive: true, maxSockets: 16 }
const agents = { 'http:': new HttpAgent(connections), 'https:': new HttpsAgent(connections) }

/** Nothing moves for so long: the other end is gone. A registry may hash for minutes what it was sent. */
const idleMs = 60_000
const idleAfterBodyMs = 600_000

/** Throws ClientError when no answer comes. */
export async function exchange(url: URL, outgoing: Outgoing, io: Io): Promise<Answer> {
  const request = begin(url, outgoing, io)
  try {
    return await complete(url, request, outgoing.body, io)
  } catch (error) {
    io.signal.throwIfAborted()
    // A registry may end a connection at rest just when it is used again: that says nothing about the request.
    if (request.reusedSocket && codeOf(error) === 'ECONNRESET') return unkept(url, outgoing, io)
    throw unreachable(url, error)
  }
}

async function unkept(url: URL, outgoing: Outgoing, io: Io): Promise<Answer> {
  try {
    return await complete(url, begin(url, outgoing, io, false), outgoing.body, io)
  } catch (error) {
    io.signal.throwIfAborted()
    throw unreachable(url, error)
  }
}

function begin(url: URL, { method, headers, body }: Outgoing, { signal }: Io, agent?: false): ClientRequest {
  const isSecure = url.protocol === 'https:'
  const length = body
    ? { 'Content-Length': String(body.size) }
    : method === 'POST'
      ? { 'Content-Length': '0' }
      : {}
  return (isSecure ? httpsRequest : httpRequest)(url, {
    method,
    headers: { 'User-Agent': 'slipway', ...length, ...headers },
    agent: agent ?? agents[isSecure ? 'https:' : 'http:'],
    timeout: body ? idleAfterBodyMs : idleMs,
    signal,
  })
}

async function complete(url: URL, request: ClientRequest, body: Body | undefined, io: Io): Promise<Answer> {
  let answer: IncomingMessage | undefined
  request.once('response', (message: IncomingMessage) => {
    answer = message
  })
  request.once('timeout', () =>
    (answer ?? request).destroy(new ClientError(`${url.host} is silent: gave up`)),
  )
  const answered = once(request, 'response') as Promise<[IncomingMessage]>
  // It is awaited below; what fails before that must not end the process.
  answered.catch(() => {})
  request.on('error', () => {})
  if (body) await send(request, body, io)
  else request.end()
  const [message] = await answered
  // Refused before all was sent: the rest of the connection is of no use.
  if (!request.writableEnded) message.once('close', () => request.destroy())
  return { url, status: message.statusCode ?? 0, headers: message.headers, body: message }
}

/** Sends as fast as it is taken, until the end or the answer. */
async function send(request: ClientRequest, body: Body, io: Io): Promise<void> {
  let isOver = false
  let wake = () => {}
  const over = () => {
    isOver = true
    wake()
  }
  request
    .once('response', over)
    .once('close', over)
    .on('drain', () => wake())
  try {
    for await (const chunk of await body.open(io)) {
      if (isOver) return
      if (!request.write(chunk) && !isOver)
        await new Promise<void>(resolve => {
          wake = resolve
        })
    }
    request.end()
  } catch (error) {
    request.destroy()
    throw error
  }
}
