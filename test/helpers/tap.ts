import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'

export interface Exchange {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly status: number
  /** Bytes of the request's body. */
  readonly sent: number
  readonly authorization: string | undefined
}

export interface Tap extends AsyncDisposable {
  readonly address: string
  readonly host: string
  readonly exchanges: readonly Exchange[]
  /** Bytes of blobs that were uploaded since the tap opened. */
  uploadedBytes(): number
  /** How many blobs the registry took over from another repository. */
  mounts(): number
}

/** What a tap does beside writing down. */
export interface TapOptions {
  /** A request passes when this resolves; what it has answered itself does not pass. */
  readonly before?: (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void>
  /** What the body of a request passes through. */
  readonly through?: (incoming: IncomingMessage) => Transform
  /** What answers say instead in headers that they have, as a gateway in front of a registry may. */
  readonly insteadSays?: Readonly<Record<string, string>>
}

/** A wire to a registry that writes down what passes. Clients take it for the registry. */
export async function openTap(target: string, options: TapOptions = {}): Promise<Tap> {
  const { before = async () => {}, through = () => new PassThrough(), insteadSays = {} } = options
  const instead = new Map(Object.entries(insteadSays).map(([name, value]) => [name.toLowerCase(), value]))
  const said = (raw: readonly string[]) =>
    raw.map((text, at) => (at % 2 === 1 && instead.get((raw[at - 1] ?? '').toLowerCase())) || text)
  const exchanges: Exchange[] = []
  const server = createServer(async (incoming, outgoing) => {
    await before(incoming, outgoing)
    if (outgoing.headersSent) return
    const { method = 'GET', url: path = '/', headers } = incoming
    const [hostname, port] = target.split(':')
    let sent = 0
    const counted = through(incoming)
    counted.on('data', (chunk: Buffer) => {
      sent += chunk.length
    })
    const forwarded = request({ hostname, port, method, path, headers, agent: false }, answer => {
      exchanges.push({
        method,
        path,
        status: answer.statusCode ?? 0,
        authorization: headers.authorization,
        get sent() {
          return sent
        },
      })
      outgoing.writeHead(answer.statusCode ?? 502, said(answer.rawHeaders))
      pipeline(answer, outgoing).catch(() => outgoing.destroy())
    })
    forwarded.once('error', () => outgoing.destroy())
    pipeline(incoming, counted, forwarded).catch(() => outgoing.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A TCP server's address is never a string.
  const { port } = server.address() as AddressInfo
  const uploads = () => exchanges.filter(each => each.path.includes('/blobs/uploads/'))
  return {
    address: `http://127.0.0.1:${port}`,
    host: `127.0.0.1:${port}`,
    exchanges,
    uploadedBytes: () => uploads().reduce((sum, each) => sum + each.sent, 0),
    mounts: () => uploads().filter(each => each.path.includes('mount=') && each.status === 201).length,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
