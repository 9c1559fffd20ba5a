import { once } from 'node:events'
import net from 'node:net'
import { workersOf } from './processes.ts'
import type { TestServer } from './server.ts'
import { until } from './until.ts'

/** One request on a connection of its own, so for the next worker; undefined when the connection is cut off. */
export async function ping(
  { address }: TestServer,
  signal = AbortSignal.timeout(2_000),
): Promise<number | undefined> {
  const { hostname, port } = new URL(address)
  const socket = net.connect({ host: hostname, port: Number(port), signal })
  const closed = once(socket, 'close').catch(() => {})
  socket.write('GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n')
  let text = ''
  socket.on('data', chunk => {
    text += chunk
  })
  await closed
  return text === '' ? undefined : Number(text.slice(9, 12))
}

/**
 * Waits until so many workers run and each has answered a request. From then on they share the port: with the last
 * worker that holds it, a server on a free port would lose it.
 */
export async function answering(server: TestServer, count: number): Promise<void> {
  await until('every worker answers', async () => {
    await ping(server)
    const answered = new Set(server.log.filter(line => line.msg === 'request').map(line => line.pid))
    const workers = workersOf(server)
    return workers.length === count && workers.every(pid => answered.has(pid))
  })
}
