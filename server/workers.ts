/** The processes that serve, as their parent has them: started, told, begun anew when one ends, and stopped. */
import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { getCompileCacheDir } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Log } from './observe.ts'
import type { FromParent, FromWorker, Given } from './worker.ts'

/** How long requests under way may take to finish once the server was told to stop. */
export const drainMs = 25_000
/** A worker that ends so soon after its start would end again: the next one waits. */
const shortLifeMs = 5_000
/** Threads that wait for the disk: with the usual four, pushes queue behind each other's fsyncs. */
const diskThreads = 8

export interface Workers {
  /** Lets so many serve what is given, and says where they listen. Rejects with the reason of the first that cannot. */
  begin(count: number, given: () => Given, log: Log): Promise<readonly string[]>
  /** Ends them for this reason. */
  abandon(reason: unknown): never
  /** Something else is given from now on. */
  tellGiven(): void
  /** Says how many requests are under way, and resolves to how many of them were cut off. */
  stop(onWait: (requests: number) => void): Promise<number>
  /** What is under way is cut off now. */
  stopAtOnce(): void
}

/** The first of them reads its code already, before anybody knows with what it will serve and beside how many. */
export function startWorkers(): Workers {
  const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>()
  // Whoever waits for them hears of it in `begin`.
  promise.catch(() => {})
  let stopping = false
  let begun: { readonly given: () => Given; readonly log: Log } | undefined
  let serving = false
  cluster.setupPrimary({
    exec: fileURLToPath(new URL('./worker.ts', import.meta.url)),
    args: [],
    execArgv: [...process.execArgv, '--expose-gc'],
  })
  const cache = getCompileCacheDir()

  function start(): void {
    const startedMs = Date.now()
    const worker = cluster.fork({
      UV_THREADPOOL_SIZE: String(diskThreads),
      ...(cache && { NODE_COMPILE_CACHE: cache }),
    })
    if (begun) send(worker, { kind: 'settings', ...begun.given() })
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
      begun?.log.observe({ event: 'worker ended', worker: worker.process.pid, code, signal })
      setTimeout(() => stopping || start(), Date.now() - startedMs < shortLifeMs ? 1000 : 0)
    }
    worker.once('exit', ended)
    // What Node sends to a worker that was killed fails, and its exit follows; one that could not be made has none.
    worker.on('error', () => {
      if (worker.process.pid === undefined) ended(null, null)
    })
  }

  start()
  const all = () => Object.values(cluster.workers ?? {}).filter(worker => worker !== undefined)
  const tell = (message: FromParent) => {
    for (const worker of all()) send(worker, message)
  }
  const kill = () => {
    for (const worker of all()) worker.process.kill('SIGKILL')
  }
  return {
    async begin(count, given, log) {
      begun = { given, log }
      this.tellGiven()
      for (let started = 1; started < count; started++) start()
      return promise.catch(this.abandon)
    },
    abandon(reason) {
      stopping = true
      kill()
      throw reason
    },
    tellGiven() {
      if (begun) tell({ kind: 'settings', ...begun.given() })
    },
    async stop(onWait) {
      stopping = true
      const farewells = all().map(farewell)
      tell({ kind: 'stop', boundMs: drainMs })
      const overdue = setTimeout(kill, drainMs + 5_000)
      void Promise.all(farewells.map(({ underWay }) => underWay)).then(counts => onWait(sum(counts)))
      const unfinished = await Promise.all(farewells.map(each => each.unfinished))
      clearTimeout(overdue)
      return sum(unfinished)
    },
    stopAtOnce() {
      tell({ kind: 'stop at once' })
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
