/** The parent of the processes that serve: it owns the data folder, starts them, and passes on what it is told. */
import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { flushCompileCache, getCompileCacheDir } from 'node:module'
import { fileURLToPath } from 'node:url'
import { codeOf } from '../oci/errors.ts'
import { localRegistry } from '../storage/local-registry.ts'
import { type OpenStore, openFolder } from '../storage/open.ts'
import { type LoadedSettings, type Settings, SettingsError, settingChanges, workerCount } from './config.ts'
import { jsonLog, type Log } from './observe.ts'
import { planServe } from './plan.ts'
import { registryOptions } from './registry-options.ts'
import { removeStaleSocket } from './sockets.ts'
import { readVersion } from './version.ts'
import type { FromParent, FromWorker } from './worker.ts'

/** How long requests under way may take to finish once the server was told to stop. */
const drainMs = 25_000
/** A worker that ends so soon after its start would end again: the next one waits. */
const shortLifeMs = 5_000
/** npm passes on a Ctrl-C that the terminal has sent already: within this time two signals are one. */
const sameSignalMs = 500
/** Longest time between two looks for uploads that lie idle; half of what they may, where that is less. */
const mostPurgeEveryMs = 10 * 60_000
/** Threads that wait for the disk: with the usual four, pushes queue behind each other's fsyncs. */
const diskThreads = 8

/** Serves until it is told to stop. Rejects where it cannot start, with what to do. */
export async function serve(load: () => LoadedSettings): Promise<void> {
  const loaded = withTerminalLevel(load())
  let { settings } = loaded
  const log = jsonLog(settings.log.level)
  // They read their code while this process opens the folder.
  const workers = startWorkers(workerCount(settings), () => settings, log)
  const { store, format, close } = await open(loaded).catch(workers.abandon)
  try {
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
    onSecondSignal(() => workers.stopAtOnce())
    const unfinished = await workers.stop(announceWait)
    log.observe({ event: 'stopped', unfinished })
  } finally {
    await close()
    await log.flush()
  }
}

/** Rejects, before anything was changed, with all that is in the way. */
async function open(loaded: LoadedSettings): Promise<OpenStore> {
  const { settings, faults } = await planServe(loaded)
  if (faults.length > 0) throw new SettingsError(faults)
  const opened = await openFolder(settings.data, 'server', settings).catch((cause: unknown) => {
    const code = codeOf(cause)
    if (code === undefined) throw cause
    const what = `data folder ${settings.data} cannot be opened (${code})`
    throw new Error(`${what}: give it to this user, or name another with --data`, { cause })
  })
  try {
    for (const address of settings.listen) await removeStaleSocket(address)
    return opened
  } catch (error) {
    await opened.close()
    throw error
  }
}

function onSecondSignal(act: () => void): void {
  const firstMs = Date.now()
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      if (Date.now() - firstMs > sameSignalMs) act()
    })
}

function announceWait(requests: number): void {
  if (requests === 0 || !process.stdout.isTTY) return
  const what = requests === 1 ? '1 request' : `${requests} requests`
  process.stdout.write(`waiting up to ${drainMs / 1000} s for ${what}; again to stop at once\n`)
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
    log.observe({ event: 'settings', ...settingChanges(before, settings) })
    const { listen, url, data, workers, durability } = before
    return { ...settings, listen, url, data, workers, durability }
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
  /** Says how many requests are under way, and resolves to how many of them were cut off. */
  stop(onWait: (requests: number) => void): Promise<number>
  /** What is under way is cut off now. */
  stopAtOnce(): void
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
      if (message.kind !== 'listening') return
      serving = true
      resolve(message.addresses)
    })
    const ended = (code: number | null, signal: string | null) => {
      if (stopping) return
      reject(new Error(`a worker ended (${signal ?? code}) before it listened`))
      if (!serving) return
      log.observe({ event: 'worker ended', worker: worker.process.pid, code, signal })
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
    async stop(onWait) {
      stopping = true
      const farewells = all().map(farewell)
      this.tell({ kind: 'stop', boundMs: drainMs })
      const overdue = setTimeout(() => {
        for (const worker of all()) worker.process.kill('SIGKILL')
      }, drainMs + 5_000)
      void Promise.all(farewells.map(({ underWay }) => underWay)).then(counts => onWait(sum(counts)))
      const unfinished = await Promise.all(farewells.map(each => each.unfinished))
      clearTimeout(overdue)
      return sum(unfinished)
    },
    stopAtOnce() {
      this.tell({ kind: 'stop at once' })
    },
  }
}

interface Farewell {
  readonly underWay: Promise<number>
  /** Resolves when the worker has ended. */
  readonly unfinished: Promise<number>
}

/** What a worker that is told to stop says of its requests; of one that says nothing there were none. */
function farewell(worker: Worker): Farewell {
  const underWay = Promise.withResolvers<number>()
  let unfinished = 0
  worker.on('message', (message: FromWorker) => {
    if (message.kind === 'stopping') underWay.resolve(message.underWay)
    if (message.kind === 'stopped') unfinished = message.unfinished
  })
  const ended = once(worker, 'exit').then(() => {
    underWay.resolve(0)
    return unfinished
  })
  return { underWay: underWay.promise, unfinished: ended }
}

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0)

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
