/** Sends files into sockets from one thread beside Node's own, without the bytes ever entering the process. */
import { closeSync } from 'node:fs'
import { getSystemErrorName } from 'node:util'
import { type Command, type PollerThread, type Report, startPoller } from './poller-thread.ts'
import { loadSyscalls } from './syscalls.ts'

/** What `Io` is elsewhere; this folder imports no other. */
interface Cancellation {
  readonly signal: AbortSignal
}

export interface FileSender {
  /**
   * Sends the bytes [start, end) of a file into a connected, non-blocking stream socket, and resolves when the kernel
   * has taken all of them. Both descriptors stay the caller's: the socket may be closed at any time, the file only
   * when this has settled. Nothing else may write to the socket meanwhile.
   *
   * Rejects with the signal's reason when it aborts, and otherwise with a SendError.
   */
  send(socketFd: number, fileFd: number, start: number, end: number, io: Cancellation): Promise<void>
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

/**
 * Starts the thread, or says why it cannot run here. `onLost` is called when the thread has ended by itself; the sender
 * then behaves as if it were closed.
 */
export async function startFileSender(
  onLost: (cause: Error) => void,
): Promise<{ readonly sender: FileSender } | { readonly missing: string }> {
  const loaded = await loadSyscalls()
  if ('missing' in loaded) return loaded
  const { syscalls } = loaded

  /** By the duplicate of the socket. Called without a report when no one knows how far the transfer came. */
  const inFlight = new Map<number, (report: Report | undefined) => void>()
  let ended = false
  const onEnd = (cause: Error | undefined): void => {
    ended = true
    for (const settle of inFlight.values()) settle(undefined)
    if (cause !== undefined) onLost(cause)
  }
  let thread: PollerThread
  try {
    thread = await startPoller(syscalls, report => inFlight.get(report.socket)?.(report), onEnd)
  } catch (error) {
    return { missing: error instanceof Error ? error.message : String(error) }
  }
  // A thread that has nothing in flight sleeps in its event loop, where the message itself is enough.
  const post = (command: Command): void => thread.post(command, { wake: inFlight.size > 0 })

  const sender: FileSender = {
    async send(socketFd, fileFd, start, end, io) {
      io.signal.throwIfAborted()
      if (start === end) return
      if (ended) throw new SendError('ECANCELED', 0)
      // While the thread sends, Node may close the socket and give its number to another.
      const socket = syscalls.duplicate(socketFd)
      if (socket < 0) throw new SendError(getSystemErrorName(socket), 0)
      const cancel = () => post({ kind: 'cancel', socket })
      io.signal.addEventListener('abort', cancel)
      const report = await new Promise<Report | undefined>(settle => {
        post({ kind: 'send', socket, file: fileFd, start, end })
        inFlight.set(socket, settle)
      })
      io.signal.removeEventListener('abort', cancel)
      inFlight.delete(socket)
      closeSync(socket)
      if (report !== undefined && report.failure === undefined) return
      io.signal.throwIfAborted()
      throw new SendError(report?.failure ?? 'ECANCELED', report?.sentBytes)
    },

    async close() {
      ended = true
      await thread.stop()
    },
  }
  return { sender }
}
