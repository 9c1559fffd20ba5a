/** The composition root: what one process that serves is made of. */
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openToAll } from '../auth/access.ts'
import type { FileReceiver } from '../kernel/receiver.ts'
import type { FileSender } from '../kernel/sender.ts'
import { cached } from '../storage/cached.ts'
import { localRegistry } from '../storage/local-registry.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import type { ListenAddress } from './addresses.ts'
import { createApp } from './app.ts'
import { type Pace, usualPace } from './body.ts'
import type { Settings } from './config.ts'
import { holdBody } from './held-body.ts'
import { createHttpServer, type HttpLimits, usualLimits } from './http.ts'
import type { Observe } from './observe.ts'
import { registryOptions } from './registry-options.ts'

/** What remembered records and small blobs may take of a process's memory. */
const cacheBytes = 64 * 1024 * 1024

export interface Parts {
  readonly store: ObjectStore
  readonly registryId: string
  /** Asked for each time, so that a change is seen by the next request. */
  settings(): Settings
  readonly observe: Observe
  readonly sender: FileSender | undefined
  readonly receiver: FileReceiver | undefined
  /** What one client may take; the usual where nothing is said. */
  readonly limits?: HttpLimits
  readonly pace?: Pace
}

export interface RunningServer {
  /** As clients write them: http://host:port or unix:/path. */
  readonly addresses: readonly string[]
  /** Takes no new connections and resolves to how many requests were cut off because `boundMs` had passed. */
  stop(boundMs: number): Promise<number>
}

export async function startServer({
  store,
  registryId,
  settings,
  observe,
  sender,
  receiver,
  limits = usualLimits,
  pace = usualPace,
}: Parts): Promise<RunningServer> {
  const registry = localRegistry(
    cached(store, { maxBytes: cacheBytes }),
    registryOptions(registryId, settings),
  )
  const services = {
    registry,
    policy: openToAll,
    observe,
    sender,
    receiver,
    pace,
    manifestBytes: () => settings().limits.manifestBytes,
    url: () => settings().url ?? '',
  }
  const handle = createApp(services).callback()
  const listening = settings().listen.map(async address => {
    const server = createHttpServer(
      (req, res) => {
        if (receiver) holdBody(req)
        void handle(req, res)
      },
      observe,
      limits,
    )
    return { server, address: await listen(server, address) }
  })
  const servers = await Promise.all(listening)
  return {
    addresses: servers.map(({ address }) => address),
    async stop(boundMs) {
      const unfinished = await Promise.all(servers.map(({ server }) => drain(server, boundMs)))
      return unfinished.reduce((sum, count) => sum + count, 0)
    },
  }
}

function listen(server: Server, address: ListenAddress): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(
      address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port },
      () => {
        server.off('error', reject)
        resolve(address.kind === 'unix' ? `unix:${address.path}` : urlOf(server.address()))
      },
    )
  })
}

function urlOf(address: AddressInfo | string | null): string {
  if (address === null || typeof address === 'string') return String(address)
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `http://${host}:${address.port}`
}

/** How often connections whose request has ended are looked for. */
const sweepMs = 100

async function drain(server: Server, boundMs: number): Promise<number> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()))
  const sweep = setInterval(() => server.closeIdleConnections(), sweepMs)
  let late: NodeJS.Timeout | undefined
  const bound = new Promise<void>(resolve => {
    late = setTimeout(resolve, boundMs)
  })
  await Promise.race([closed, bound])
  clearInterval(sweep)
  clearTimeout(late)
  const unfinished = await new Promise<number>(resolve =>
    server.getConnections((_, count) => resolve(count ?? 0)),
  )
  server.closeAllConnections()
  await closed
  return unfinished
}
