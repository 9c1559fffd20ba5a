/** The main thread's hold on the polling thread: its start, its messages, its end, and the descriptors it works with. */
import { closeSync, writeSync } from 'node:fs'
import { getCompileCacheDir } from 'node:module'
import { dirname, extname } from 'node:path'
import { getSystemErrorName } from 'node:util'
import { Worker } from 'node:worker_threads'
import type { Syscalls } from './syscalls.ts'
import type { Command, Report } from './transfers.ts'
import type { PipeEnds } from './wide-pipe.ts'

export interface PollerSetup {
  readonly epoll: number
  readonly wakeup: number
  readonly pipe: PipeEnds | undefined
}

export interface PollerThread {
  /** Hands over a command. With `wake`, also to a thread that waits for its sockets. Does nothing after the end. */
  post(command: Command, options: { readonly wake: boolean }): void
  /** Ends the thread and resolves when it is gone. */
  stop(): Promise<void>
}

/** Enough for the thread's few objects; with the default it would keep garbage by the ten megabytes. */
const THREAD_LIMITS = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 }
const ONE = new BigUint64Array([1n])

/**
 * Resolves when a thread of this name is ready; throws when it cannot run. It never keeps the process alive. `onEnd` is called
 * once, when the thread is gone, with the cause unless `stop` was called. The pipe is the thread's from then on, and closed
 * with it, also where it cannot run.
 */
export async function startPoller(
  name: string,
  syscalls: Syscalls,
  pipe: PipeEnds | undefined,
  onReport: (report: Report) => void,
  onEnd: (cause: Error | undefined) => void,
): Promise<PollerThread> {
  const [wakeup, epoll] = [syscalls.eventfd(), syscalls.epollCreate()]
  const descriptors = [wakeup, epoll, ...(pipe ? [pipe.entry, pipe.exit, pipe.nowhere] : [])]
  const release = () => {
    for (const fd of descriptors) if (fd >= 0) closeSync(fd)
  }
  if (wakeup < 0 || epoll < 0) {
    release()
    throw new Error(`no descriptor for the thread: ${getSystemErrorName(Math.min(wakeup, epoll))}`)
  }

  const worker = startWorker(name, { epoll, wakeup, pipe })
  const ready = Promise.withResolvers<void>()
  const gone = Promise.withResolvers<void>()
  let state: 'starting' | 'running' | 'stopping' | 'gone' = 'starting'
  let cause = new Error('the thread ended')

  worker.on('message', (reports: readonly Report[]) => {
    ready.resolve()
    for (const report of reports) onReport(report)
  })
  worker.on('error', (error: unknown) => {
    cause = error instanceof Error ? error : new Error(String(error))
  })
  worker.on('exit', () => {
    const last = state
    state = 'gone'
    release()
    ready.reject(cause)
    gone.resolve()
    if (last !== 'starting') onEnd(last === 'running' ? cause : undefined)
  })
  await ready.promise
  state = 'running'
  // Not earlier: a listener for messages takes it back.
  worker.unref()

  return {
    post(command, { wake }) {
      if (state !== 'running') return
      worker.postMessage(command)
      if (wake) writeSync(wakeup, ONE)
    },
    async stop() {
      if (state === 'running') {
        state = 'stopping'
        // In this order: coming back from epoll_wait, it must find itself terminated.
        const terminated = worker.terminate()
        writeSync(wakeup, ONE)
        await terminated
      }
      await gone.promise
    },
  }
}

function startWorker(name: string, setup: PollerSetup): Worker {
  const file = new URL(`./poller${extname(import.meta.filename)}`, import.meta.url)
  // Without the cache the thread loads the type stripper once more, and takes more than twice the memory.
  const cache = getCompileCacheDir()
  return new Worker(file, {
    name,
    workerData: setup,
    resourceLimits: THREAD_LIMITS,
    execArgv: [],
    env: cache === undefined ? {} : { NODE_COMPILE_CACHE: dirname(cache) },
  })
}
