/** The parent of the processes that serve: it owns the data folder, starts them, and passes on what it is told. */
import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { flushCompileCache, getCompileCacheDir } from 'node:module'
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import { type Directory, directory } from '../auth/directory.ts'
import { aged } from '../auth/keys.ts'
import type { Io } from '../oci/io.ts'
import { localRegistry } from '../storage/local-registry.ts'
import { openFolder } from '../storage/open.ts'
import { accessDocuments } from './access-documents.ts'
import { accessSettingsOf } from './access-settings.ts'
import { type LoadedSettings, type Settings, workerCount } from './config.ts'
import { namedPaths } from './named-files.ts'
import { jsonLog, type Log } from './observe.ts'
import { accessText, hasUsers } from './plan.ts'
import { first, reload, reread, tellWarnings } from './reload.ts'
import { readVersion } from './version.ts'
import { watchFiles } from './watched-files.ts'
import type { FromParent, FromWorker, Given } from './worker.ts'

/** How long requests under way may take to finish once the server was told to stop. */
const drainMs = 25_000
/** A worker that ends so soon after its start would end again: the next one waits. */
const shortLifeMs = 5_000
const purgeEveryMs = 10 * 60_000
const ageKeysEveryMs = 60 * 60_000
/** Threads that wait for the disk: with the usual four, pushes queue behind each other's fsyncs. */
const diskThreads = 8

/** Serves until it is told to stop. Rejects where it cannot start, with what to do. */
export async function serve(load: () => LoadedSettings): Promise<void> {
  let current = await first(load)
  const { settings } = current.loaded
  const log = jsonLog(settings.log.level)
  tellWarnings(current, log)
  const given = (): Given => ({ settings: current.loaded.settings, files: current.files })
  // They read their code while this process opens the folder.
  const workers = startWorkers(workerCount(settings), given, log)
  const { store, format, close } = await openFolder(settings.data, 'server', settings).catch(workers.abandon)
  try {
    await removeStaleSockets(settings)
    // Whoever reads that it listens may tell it something at once.
    const hangUp = Promise.withResolvers<string>()
    process.on('SIGHUP', () => {
      // A terminal says so when it is closed; elsewhere it is the word for reading the settings again.
      if (process.stdout.isTTY) return hangUp.resolve('SIGHUP')
      reloading = reloading.then(reloadAll)
    })
    const reloadAll = async () => {
      current = await reload(current, load, log)
      workers.tell({ kind: 'settings', ...given() })
    }
    let reloading = Promise.resolve()
    const watching = watchFiles(
      () => namedPaths(current.loaded.settings),
      () => {
        const before = current
        current = reread(before, log)
        if (current !== before) workers.tell({ kind: 'settings', ...given() })
      },
    )
    const stopSignal = Promise.race([
      hangUp.promise,
      once(process, 'SIGTERM').then(() => 'SIGTERM'),
      once(process, 'SIGINT').then(() => 'SIGINT'),
    ])
    const addresses = await workers.begin()
    announce(settings, addresses, await hasUsers(settings.data), log)
    flushCompileCache()
    const { uploads } = localRegistry(store, {
      registryId: format.id,
      sparse: () => given().settings.sparse,
      uploadLimits: () => {
        const { uploadsPerUser, uploadTtlMs } = given().settings.limits
        return { perOwner: uploadsPerUser, ttlMs: uploadTtlMs }
      },
    })
    const purging = repeat(
      purgeEveryMs,
      async () => {
        const removed = await uploads.purge({ signal: AbortSignal.timeout(purgeEveryMs) })
        if (removed > 0) log.observe({ event: 'purged', uploads: removed })
      },
      error => log.observe({ event: 'job failed', job: 'purge', error }),
    )
    const known = directory({
      documents: accessDocuments(store),
      settings: () => accessSettingsOf(given().settings, undefined),
      now: Date.now,
    })
    const aging = repeat(
      ageKeysEveryMs,
      () => ageAccess(known, { signal: AbortSignal.timeout(ageKeysEveryMs) }),
      error => log.observe({ event: 'job failed', job: 'keys', error }),
    )
    const signal = await stopSignal
    log.observe({ event: 'stopping', signal })
    clearInterval(purging)
    watching.close()
    clearInterval(aging)
    await workers.stop()
  } finally {
    await close()
    await log.flush()
  }
}

/** What time makes of the documents of access control: they come to be, and the signing keys take turns. */
async function ageAccess(known: Directory, io: Io): Promise<void> {
  // Every request asks for it, and what is not there is looked for on the disk each time.
  await known.change(state => ({ state, result: undefined }), io)
  await known.changeKeys(ring => aged(ring, Date.now()), io)
}

function announce(settings: Settings, addresses: readonly string[], users: boolean, log: Log): void {
  const [address = ''] = addresses
  if (!process.stdout.isTTY) {
    log.observe({
      event: 'listening',
      address,
      addresses,
      data: settings.data,
      workers: workerCount(settings),
    })
    void log.flush()
    return
  }
  const host = address.startsWith('http')
    ? new URL(address).host.replace(/^127\.0\.0\.1:/, 'localhost:')
    : 'localhost:5000'
  process.stdout.write(
    `slipway ${readVersion()}\n` +
      `serving   ${addresses.join(', ')}\n` +
      `data      ${settings.data}\n` +
      `access    ${accessText(settings, users)}\n` +
      `try       docker push ${host}/team/app:1\n`,
  )
}

interface Workers {
  /** Lets them serve, and says where they listen. Rejects with the reason of the first that cannot. */
  begin(): Promise<readonly string[]>
  /** Ends them for this reason. */
  abandon(reason: unknown): never
  tell(message: FromParent): void
  stop(): Promise<void>
}

function startWorkers(count: number, given: () => Given, log: Log): Workers {
  const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>()
  // Whoever waits for them hears of it in `begin`.
  promise.catch(() => {})
  let stopping = false
  let begun = false
  let serving = false
  cluster.setupPrimary({ exec: fileURLToPath(new URL('./worker.ts', import.meta.url)), args: [] })
  const cache = getCompileCacheDir()

  function start(): void {
    const startedMs = Date.now()
    const worker = cluster.fork({
      UV_THREADPOOL_SIZE: String(diskThreads),
      ...(cache && { NODE_COMPILE_CACHE: cache }),
    })
    if (begun) send(worker, { kind: 'settings', ...given() })
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'failed') return reject(new Error(message.message))
      serving = true
      resolve(message.addresses)
    })
    const ended = (code: number | null, signal: string | null) => {
      if (stopping) return
      reject(new Error(`a worker ended (${signal ?? code}) before it listened`))
      if (!serving) return
      log.observe({ event: 'worker ended', pid: worker.process.pid, code, signal })
      setTimeout(() => stopping || start(), Date.now() - startedMs < shortLifeMs ? 1000 : 0)
    }
    worker.once('exit', ended)
    // What Node sends to a worker that was killed fails, and its exit follows; one that could not be made has none.
    worker.on('error', () => {
      if (worker.process.pid === undefined) ended(null, null)
    })
  }

  for (let started = 0; started < count; started++) start()
  const all = () => Object.values(cluster.workers ?? {}).filter(worker => worker !== undefined)
  return {
    async begin() {
      begun = true
      this.tell({ kind: 'settings', ...given() })
      return promise.catch(this.abandon)
    },
    abandon(reason) {
      stopping = true
      for (const worker of all()) worker.process.kill('SIGKILL')
      throw reason
    },
    tell(message) {
      for (const worker of all()) send(worker, message)
    },
    async stop() {
      stopping = true
      const ended = all().map(worker => once(worker, 'exit'))
      this.tell({ kind: 'stop', boundMs: drainMs })
      const overdue = setTimeout(() => {
        for (const worker of all()) worker.process.kill('SIGKILL')
      }, drainMs + 5_000)
      await Promise.all(ended)
      clearTimeout(overdue)
    },
  }
}

/** A worker that is ending may not hear it any more. */
function send(worker: Worker, message: FromParent): void {
  if (worker.isConnected()) worker.send(message, () => {})
}

function repeat(
  everyMs: number,
  job: () => Promise<void>,
  onError: (error: unknown) => void,
): NodeJS.Timeout {
  const run = () => void job().catch(onError)
  run()
  return setInterval(run, everyMs).unref()
}

/** A unix socket whose server was killed stays behind, and is in the way of the next. */
async function removeStaleSockets({ listen }: Settings): Promise<void> {
  for (const address of listen) {
    if (address.kind !== 'unix') continue
    const refused = await new Promise<boolean>(resolve => {
      const socket = net.connect({ path: address.path })
      socket.once('connect', () => resolve(false))
      socket.once('error', error => resolve('code' in error && error.code === 'ECONNREFUSED'))
      socket.once('close', () => socket.destroy())
      socket.once('connect', () => socket.destroy())
    })
    if (refused) await rm(address.path, { force: true })
  }
}
