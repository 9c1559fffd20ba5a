import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface Pair extends AsyncDisposable {
  readonly fd: () => number | undefined
  readonly near: Socket
  readonly far: Socket
}

/** Two ends of one TCP connection; the near one is what a server has, and nobody reads from it. */
export async function pair(): Promise<Pair> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('not a TCP server')
  const far = connect({ port: address.port, noDelay: true })
  const [near]: Socket[] = await once(server, 'connection')
  if (near === undefined) throw new TypeError('no connection')
  for (const socket of [near, far]) socket.on('error', () => {})
  return {
    // The same private field that the server reads.
    fd: () => (near as unknown as { _handle: { fd: number } | null })._handle?.fd,
    near,
    far,
    async [Symbol.asyncDispose]() {
      near.destroy()
      far.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
