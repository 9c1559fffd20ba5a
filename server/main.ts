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
import { bindFault } from './sockets.ts'

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
  /** How many requests wait for the end of their answers. */
  underWay(): number
  /** Takes no new connections, and cuts off at `late` what is under way. Resolves to how many requests that were. */
  stop(late: AbortSignal): Promise<number>
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
  let underWay = 0
  const listening = settings().listen.map(async address => {
    const server = createHttpServer(
      (req, res) => {
        underWay++
        res.once('close', () => {
          underWay--
        })
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
    underWay: () => underWay,
    async stop(late) {
      let unfinished = 0
      const cut = () => {
        unfinished = underWay
        for (const { server } of servers) server.closeAllConnections()
      }
      const drained = Promise.all(servers.map(({ server }) => drain(server)))
      if (late.aborted) cut()
      late.addEventListener('abort', cut, { once: true })
      await drained
      late.removeEventListener('abort', cut)
      return unfinished
    },
  }
}

function listen(server: Server, address: ListenAddress): Promise<string> {
  return new Promise((resolve, reject) => {
    const refused = (cause: Error) => reject(new Error(bindFault(address, cause).text, { cause }))
    server.once('error', refused)
    server.listen(
      address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port },
      () => {
        server.off('error', refused)
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

async function drain(server: Server): Promise<void> {
  const sweep = setInterval(() => server.closeIdleConnections(), sweepMs)
  await new Promise<void>(resolve => server.close(() => resolve()))
  clearInterval(sweep)
}
