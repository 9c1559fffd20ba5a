/** A store of one object behind a wire, for tests of the wire itself. */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'
import { type HttpRequest, send } from './http.ts'
import { startS3Proxy } from './s3-proxy.ts'

interface Seen {
  readonly line: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export const nowhere = { region: 'r', accessKeyId: 'a', secretAccessKey: 's' }
export const noon = 'Fri, 20 Nov 2026 12:00:00 GMT'

/** A store that has one object, of ten bytes, and says yes to everything. */
async function trivialStore() {
  const seen: Seen[] = []
  let connections = 0
  const server = createServer(async (req, res) => {
    const body = await buffer(req).catch(() => undefined)
    if (body === undefined) return
    seen.push({ line: `${req.method} ${req.url}`, headers: req.headers, body: body.toString() })
    res.writeHead(200, [
      ...['Content-Length', '10'],
      ...['Date', noon],
      ...['X-Twice', 'one'],
      ...['X-Twice', 'two'],
    ])
    res.end(req.method === 'HEAD' ? undefined : '0123456789')
  })
  server.on('connection', () => {
    connections += 1
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  // A TCP server's address is never a string.
  const { port } = server.address() as AddressInfo
  return {
    place: { endpoint: new URL(`http://127.0.0.1:${port}`), ...nowhere },
    seen,
    get connections() {
      return connections
    },
  }
}

export async function wired() {
  const store = await trivialStore()
  const proxy = await startS3Proxy(store.place)
  onTestFinished(() => proxy[Symbol.asyncDispose]())
  const ask = (path: string, request?: HttpRequest) => send(proxy.endpoint.origin, path, request)
  return { store, proxy, ask }
}

export const put = (body: string | Buffer): HttpRequest => ({ method: 'PUT', body })
