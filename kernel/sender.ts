/** Sends files into sockets from one thread beside Node's own, without the bytes ever entering the process. */
import { closeSync, writeSync } from 'node:fs'
import { getCompileCacheDir } from 'node:module'
import { dirname, extname } from 'node:path'
import { getSystemErrorName } from 'node:util'
import { Worker } from 'node:worker_threads'
import type { Io } from '../oci/io.ts'
import { loadSyscalls } from './syscalls.ts'

export interface FileSender {
  /**
   * Sends the bytes [start, end) of a file into a connected, non-blocking stream socket, and resolves when the kernel
   * has taken all of them. Both descriptors stay the caller's: the socket may be closed at any time, the file only
   * when this has settled. Nothing else may write to the socket meanwhile.
   *
   * Rejects with the signal's reason when it aborts, and otherwise with a SendError.
   */
  send(socketFd: number, fileFd: number, start: number, end: number, io: Io): Promise<void>
  /** Ends the thread. Sends in flight reject; later ones reject at once with `sentBytes` 0. */
  close(): Promise<void>
}

/** Why a file was not sent to its end: `code` is an errno name, ENODATA when the file is too short. */
export class SendError extends Error {
  override readonly name = 'SendError'
  readonly code: string
  /** What has left already; undefined when no one knows. With 0 the same bytes may be sent in another way. */
  readonly sentBytes: number | undefined

  constructor(code: string, sentBytes: number | undefined) {
    super(`file was not sent to its end: ${code} after ${sentBytes ?? 'unknown'} bytes`)
    this.code = code
    this.sentBytes = sentBytes
  }
}

export interface SendCommand {
  readonly kind: 'send'
  readonly socket: number
  readonly file: number
  readonly start: number
  readonly end: number
}
export type Command = SendCommand | { readonly kind: 'cancel'; readonly socket: number }
export interface Report {
  readonly socket: number
  readonly sentBytes: number
  readonly failure: string | undefined
}
export interface PollerSetup {
  readonly epoll: number
  readonly wakeup: number
}

/** Enough for the thread's few objects; with the default it would keep garbage by the ten megabytes. */
const THREAD_LIMITS = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 }
const ONE = new BigUint64Array([1n])

/**
 * Starts the thread, or says why it cannot run here. It never keeps the process alive. `onLost` is called when the
 * thread has ended by itself; the sender then behaves as if it were closed.
 */
export async function startFileSender(
  onLost: (cause: Error) => void,
): Promise<{ readonly sender: FileSender } | { readonly missing: string }> {
  const loaded = await loadSyscalls()
  if ('missing' in loaded) return loaded
  const { syscalls } = loaded
  const wakeup = syscalls.eventfd()
  const epoll = syscalls.epollCreate()
  const closeBoth = () => {
    for (const fd of [wakeup, epoll]) if (fd >= 0) closeSync(fd)
  }
  if (wakeup < 0 || epoll < 0) {
    closeBoth()
    return { missing: 'no descriptor is free' }
  }

  const thread = startThread({ epoll, wakeup })
  const inFlight = new Map<number, (report: Report | undefined) => void>()
  const started = Promise.withResolvers<Error | undefined>()
  const ended = Promise.withResolvers<void>()
  let state: 'starting' | 'running' | 'closed' = 'starting'
  let cause = new Error('the sending thread ended')

  thread.on('message', (reports: readonly Report[]) => {
    started.resolve(undefined)
    for (const report of reports) inFlight.get(report.socket)?.(report)
  })
  thread.on('error', (error: unknown) => {
    cause = error instanceof Error ? error : new Error(String(error))
  })
  thread.on('exit', () => {
    const lost = state === 'running'
    state = 'closed'
    closeBoth()
    for (const settle of inFlight.values()) settle(undefined)
    started.resolve(cause)
    ended.resolve()
    if (lost) onLost(cause)
  })

  const post = (command: Command): void => {
    if (state !== 'running') return
    thread.postMessage(command)
    // With nothing in flight it sleeps in its event loop, and the message is enough.
    if (inFlight.size > 0) writeSync(wakeup, ONE)
  }
  const transfer = (command: SendCommand): Promise<Report | undefined> =>
    new Promise(settle => {
      post(command)
      inFlight.set(command.socket, settle)
    })

  const sender: FileSender = {
    async send(socketFd, fileFd, start, end, io) {
      io.signal.throwIfAborted()
      if (start === end) return
      if (state !== 'running') throw new SendError('ECANCELED', 0)
      // While the thread sends, Node may close the socket and give its number to another.
      const socket = syscalls.duplicate(socketFd)
      if (socket < 0) throw new SendError(getSystemErrorName(socket), 0)
      const cancel = () => post({ kind: 'cancel', socket })
      io.signal.addEventListener('abort', cancel)
      const report = await transfer({ kind: 'send', socket, file: fileFd, start, end })
      io.signal.removeEventListener('abort', cancel)
      inFlight.delete(socket)
      closeSync(socket)
      if (report !== undefined && report.failure === undefined) return
      io.signal.throwIfAborted()
      throw new SendError(report?.failure ?? 'ECANCELED', report?.sentBytes)
    },

    async close() {
      if (state === 'running') {
        state = 'closed'
        // In this order: it must find itself terminated when it comes back from epoll_wait.
        void thread.terminate()
        writeSync(wakeup, ONE)
      }
      await ended.promise
    },
  }

  const failure = await started.promise
  if (failure !== undefined) return { missing: failure.message }
  state = 'running'
  return { sender }
}

function startThread(setup: PollerSetup): Worker {
  const file = new URL(`./poller${extname(import.meta.filename)}`, import.meta.url)
  // Without it the thread strips types once more, at twice its memory.
  const cache = getCompileCacheDir()
  const thread = new Worker(file, {
    name: 'file-sender',
    workerData: setup,
    resourceLimits: THREAD_LIMITS,
    execArgv: [],
    env: cache === undefined ? {} : { NODE_COMPILE_CACHE: dirname(cache) },
  })
  thread.unref()
  return thread
}
