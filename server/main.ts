/** The composition root: what one process that serves is made of. */
import type { Server } from 'node:http'
import type { Server as TlsServer } from 'node:https'
import { auditLog } from '../auth/audit-log.ts'
import type { AccessSettings } from '../auth/directory.ts'
import type { WorkloadVerifier } from '../auth/workloads.ts'
import type { FileReceiver } from '../kernel/receiver.ts'
import type { FileSender } from '../kernel/sender.ts'
import { cached } from '../storage/cached.ts'
import { journal } from '../storage/journal.ts'
import { localRegistry } from '../storage/local-registry.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { accessControl, noAccessSettings, noWorkloads } from './access-control.ts'
import { accessDocuments } from './access-documents.ts'
import type { ListenAddress } from './addresses.ts'
import { createApp } from './app.ts'
import { type Pace, usualPace } from './body.ts'
import { type Certificate, secureOptions } from './certificate.ts'
import { clientAddresses } from './client-address.ts'
import type { Settings } from './config.ts'
import { holdBody } from './held-body.ts'
import { createHttpServer, type HttpLimits, usualLimits } from './http.ts'
import type { Observe } from './observe.ts'
import { redirection } from './redirection.ts'
import { registryOptions } from './registry-options.ts'
import { type RequestRates, requestRates } from './request-rates.ts'
import { bindFault } from './sockets.ts'

/** What remembered records and small blobs may take of a process's memory. */
const cacheBytes = 64 * 1024 * 1024

export interface Parts {
  readonly store: ObjectStore
  readonly registryId: string
  /** Asked for each time, so that a change is seen by the next request. */
  settings(): Settings
  readonly observe: Observe
  /** Asked for each time: their thread may take a while to start. */
  sender(): FileSender | undefined
  receiver(): FileReceiver | undefined
  /** With it all addresses but unix sockets speak TLS. */
  readonly certificate?: Certificate | undefined
  /** What the configuration says of access, asked for each time; nobody where nothing is said. */
  readonly access?: () => AccessSettings
  readonly workloads?: () => WorkloadVerifier
  /** How much one may ask for; without limit where nothing is said. */
  readonly rates?: () => RequestRates
  /** What one client may take; the usual where nothing is said. */
  readonly limits?: HttpLimits
  readonly pace?: Pace
}

export interface RunningServer {
  /** As clients write them: http://host:port, https://host:port or unix:/path. */
  readonly addresses: readonly string[]
  /** Connections from now on are served with this one; those that are there go on. */
  renew(certificate: Certificate): void
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
  certificate,
  access: accessSettings = () => noAccessSettings,
  workloads = () => noWorkloads,
  rates = () => ({}),
  limits = usualLimits,
  pace = usualPace,
}: Parts): Promise<RunningServer> {
  const remembering = cached(store, { maxBytes: cacheBytes })
  const registry = localRegistry(remembering, registryOptions(registryId, settings))
  const url = () => settings().url ?? ''
  const access = accessControl({
    documents: accessDocuments(remembering),
    settings: accessSettings,
    workloads,
    url,
    registryId,
  })
  const clients = clientAddresses(() => settings().trustedProxies)
  const audit = auditLog({
    journal: journal(store),
    now: Date.now,
    onFailure: error => observe({ event: 'job failed', job: 'audit', error }),
  })
  const services = {
    registry,
    access,
    limitRate: requestRates(rates),
    clients,
    observe,
    audit,
    sender,
    receiver,
    pace,
    redirects: redirection(() => settings().storage.s3.redirect),
    manifestBytes: () => settings().limits.manifestBytes,
    url,
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
        if (receiver()) holdBody(req)
        void handle(req, res)
      },
      observe,
      limits,
      clients.isProxy,
      address.kind === 'unix' ? undefined : certificate,
    )
    if (address.kind === 'unix') server.on('connection', clients.cameByUnixSocket)
    return { server, address: await listen(server, address) }
  })
  const servers = await Promise.all(listening)
  return {
    addresses: servers.map(({ address }) => address),
    renew(next) {
      for (const { server } of servers) if (isTls(server)) server.setSecureContext(secureOptions(next))
    },
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
      await access.close()
      // What keeps it from being written is in the log.
      await audit.flush().catch(() => {})
      return unfinished
    },
  }
}

const isTls = (server: Server | TlsServer): server is TlsServer => 'setSecureContext' in server

function listen(server: Server | TlsServer, address: ListenAddress): Promise<string> {
  return new Promise((resolve, reject) => {
    const refused = (cause: Error) => reject(new Error(bindFault(address, cause).text, { cause }))
    server.once('error', refused)
    server.listen(
      address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port },
      () => {
        server.off('error', refused)
        resolve(address.kind === 'unix' ? `unix:${address.path}` : urlOf(server))
      },
    )
  })
}

function urlOf(server: Server | TlsServer): string {
  const address = server.address()
  if (address === null || typeof address === 'string') return String(address)
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `${isTls(server) ? 'https' : 'http'}://${host}:${address.port}`
}

/** How often connections whose request has ended are looked for. */
const sweepMs = 100

async function drain(server: Server | TlsServer): Promise<void> {
  const sweep = setInterval(() => server.closeIdleConnections(), sweepMs)
  await new Promise<void>(resolve => server.close(() => resolve()))
  clearInterval(sweep)
}
