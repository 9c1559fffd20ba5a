/** A server that answers what a test says, right or wrong, and remembers what it was asked. */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { parseRepositoryName, type RepositoryName } from '../../oci/names.ts'
import type { TestCertificate } from './certificate.ts'

export interface Asked {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface Reply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  /** Leaves the length out. */
  readonly chunked?: boolean
  /** Ends the connection after the body, whatever length was promised. */
  readonly cut?: boolean
}

export interface ScriptedServer extends AsyncDisposable {
  readonly url: URL
  readonly host: string
  readonly asked: readonly Asked[]
}

export const app: RepositoryName = parseRepositoryName('team/app')

export async function scriptedServer(
  answer: (asked: Asked, self: ScriptedServer) => Reply,
  tls?: TestCertificate,
): Promise<ScriptedServer> {
  const asked: Asked[] = []
  const handle: RequestListener = async (req, res) => {
    const { method = '', url: path = '', headers } = req
    const request = { method, path, headers, body: await buffer(req) }
    asked.push(request)
    const reply = answer(request, self)
    const body = Buffer.from(reply.body ?? '')
    const length = reply.chunked ? {} : { 'Content-Length': body.length }
    res.writeHead(reply.status ?? 200, { ...length, ...reply.headers })
    if (reply.cut) res.write(body, () => res.destroy())
    else res.end(method === 'HEAD' ? undefined : body)
  }
  const server = tls ? createTlsServer(tls, handle) : createServer(handle)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A TCP server's address is never a string.
  const { port } = server.address() as AddressInfo
  const host = `127.0.0.1:${port}`
  const self: ScriptedServer = {
    url: new URL(`${tls ? 'https' : 'http'}://${host}`),
    host,
    asked,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
    },
  }
  return self
}

export const json = (value: unknown, headers: Readonly<Record<string, string>> = {}): Reply => ({
  headers: { 'Content-Type': 'application/json', ...headers },
  body: JSON.stringify(value),
})
