/** The parent of the processes that serve: it owns the data folder, starts them, and passes on what it is told. */
import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { flushCompileCache, getCompileCacheDir } from 'node:module'
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import { codeOf } from '../oci/errors.ts'
import { localRegistry } from '../storage/local-registry.ts'
import { openFolder } from '../storage/open.ts'
import { type LoadedSettings, needRestart, type Settings, SettingsError, workerCount } from './config.ts'
import { jsonLog, type Log } from './observe.ts'
import { registryOptions } from './registry-options.ts'
import { readVersion } from './version.ts'
import type { FromParent, FromWorker } from './worker.ts'

/** How long requests under way may take to finish once the server was told to stop. */
const drainMs = 25_000
/** A worker that ends so soon after its start would end again: the next one waits. */
const shortLifeMs = 5_000
/** Longest time between two looks for uploads that lie idle; half of what they may, where that is less. */
const mostPurgeEveryMs = 10 * 60_000
/** Threads that wait for the disk: with the usual four, pushes queue behind each other's fsyncs. */
const diskThreads = 8

/** Serves until it is told to stop. Rejects where it cannot start, with what to do. */
export async function serve(load: () => LoadedSettings): Promise<void> {
  let { settings } = withTerminalLevel(load())
  const log = jsonLog(settings.log.level)
  // They read their code while this process opens the folder.
  const workers = startWorkers(workerCount(settings), () => settings, log)
  const { store, format, close } = await openFolder(settings.data, 'server', settings).catch(workers.abandon)
  try {
    await removeStaleSockets(settings)
    // Whoever reads that it listens may tell it something at once.
    const hangUp = Promise.withResolvers<string>()
    process.on('SIGHUP', () => {
      // A terminal says so when it is closed; elsewhere it is the word for reading the settings again.
      if (process.stdout.isTTY) return hangUp.resolve('SIGHUP')
      settings = reload(settings, load, log)
      workers.tell({ kind: 'settings', settings })
    })
    const stopSignal = Promise.race([
      hangUp.promise,
      once(process, 'SIGTERM').then(() => 'SIGTERM'),
      once(process, 'SIGINT').then(() => 'SIGINT'),
    ])
    const addresses = await workers.begin()
    announce(settings, addresses, log)
    flushCompileCache()
    const { uploads } = localRegistry(
      store,
      registryOptions(format.id, () => settings),
    )
    const purgeEveryMs = Math.min(mostPurgeEveryMs, settings.limits.uploadTtlMs / 2)
    const purging = repeat(
      purgeEveryMs,
      async () => {
        const removed = await uploads.purge({ signal: AbortSignal.timeout(purgeEveryMs) })
        if (removed > 0) log.observe({ event: 'purged', uploads: removed })
      },
      error => log.observe({ event: 'job failed', job: 'purge', error }),
    )
    const signal = await stopSignal
    log.observe({ event: 'stopping', signal })
    clearInterval(purging)
    await workers.stop()
  } finally {
    await close()
    await log.flush()
  }
}

/** A terminal shows what to type next, and after that only trouble, unless it is asked for more. */
function withTerminalLevel({ settings, ...rest }: LoadedSettings): LoadedSettings {
  const quiet = process.stdout.isTTY && !rest.sources.has('log.level')
  return { ...rest, settings: quiet ? { ...settings, log: { level: 'warn' } } : settings }
}

/** Settings as they are to be from now on; what is wrong is reported, and leaves them as they were. */
function reload(before: Settings, load: () => LoadedSettings, log: Log): Settings {
  try {
    const { settings } = withTerminalLevel(load())
    log.setLevel(settings.log.level)
    log.observe({ event: 'settings', needRestart: needRestart(before, settings) })
    const { listen, data, workers, durability } = before
    return { ...settings, listen, data, workers, durability }
  } catch (error) {
    const faults = error instanceof SettingsError ? error.faults : [String(error)]
    log.observe({ event: 'settings refused', faults })
    return before
  }
}

function announce(settings: Settings, addresses: readonly string[], log: Log): void {
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
      'access    open: everyone on this machine may pull, push and delete\n' +
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

function startWorkers(count: number, settings: () => Settings, log: Log): Workers {
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
    if (begun) send(worker, { kind: 'settings', settings: settings() })
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
      this.tell({ kind: 'settings', settings: settings() })
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
      socket.once('error', error => resolve(codeOf(error) === 'ECONNREFUSED'))
      socket.once('close', () => socket.destroy())
      socket.once('connect', () => socket.destroy())
    })
    if (refused) await rm(address.path, { force: true })
  }
}
