import { Agent, type IncomingMessage, request } from 'node:http'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import type { Io } from '../oci/io.ts'

export interface Exchange {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent in chunks, unless it is one piece. */
  readonly body?: string | Buffer | Iterable<Buffer>
}

/** A client that keeps to one connection, hence to one process of a server that has several. */
export interface OneConnection {
  /** The path and query that the answer sends to. Throws when the status is another. */
  ask(status: number, path: string, exchange: Exchange, io: Io): Promise<string>
  close(): void
}

export function oneConnection(port: number): OneConnection {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })

  return {
    async ask(status, path, { method = 'GET', headers, body = '' }, { signal }) {
      const whole = typeof body === 'string' || Buffer.isBuffer(body)
      const length = whole ? { 'Content-Length': Buffer.byteLength(body) } : {}
      const asking = request({
        port,
        host: '127.0.0.1',
        path,
        method,
        agent,
        signal,
        headers: { ...headers, ...length },
      })
      const answered = new Promise<IncomingMessage>((resolve, reject) => {
        asking.once('response', resolve).once('error', reject)
      })
      const [answer] = await Promise.all([answered, pipeline(Readable.from(whole ? [body] : body), asking)])
      const said = await text(answer)
      if (answer.statusCode !== status)
        throw new Error(
          `${method} ${path}: status ${answer.statusCode}, expected ${status}: ${said.slice(0, 200)}`,
        )
      return (answer.headers.location ?? '').replace(/^https?:\/\/[^/]*/, '')
    },
    close: () => agent.destroy(),
  }
}
