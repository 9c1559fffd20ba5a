/** Transfers in flight: what the sender and the receiver of files have in common. */
import { closeSync } from 'node:fs'
import { getSystemErrorName } from 'node:util'
import { type PollerThread, startPoller } from './poller-thread.ts'
import { loadSyscalls, type Syscalls } from './syscalls.ts'
import type { Command, Report, TransferCommand } from './transfers.ts'
import type { PipeEnds } from './wide-pipe.ts'

/** What `Io` is elsewhere; this folder imports no other. */
export interface Cancellation {
  readonly signal: AbortSignal
}

/** Why a transfer did not reach its end: `code` is an errno name, such as ECANCELED when its thread is gone. */
export class TransferError extends Error {
  override readonly name = 'TransferError'
  readonly code: string
  /** What has been moved already; undefined when no one knows. With 0 the same bytes may be moved in another way. */
  readonly moved: number | undefined

  constructor(code: string, moved: number | undefined) {
    super(`not moved to its end: ${code} after ${moved ?? 'unknown'} bytes`)
    this.code = code
    this.moved = moved
  }
}

export interface Mover {
  /**
   * Has the thread do what `command` makes of a duplicate of a socket's descriptor. Resolves to the report of a transfer
   * that reached its end. Rejects with the signal's reason when it aborts, otherwise with a TransferError.
   */
  move(socketFd: number, command: (socket: number) => TransferCommand, io: Cancellation): Promise<Report>
  /** Ends the thread. Transfers in flight reject; later ones reject at once with `moved` 0. */
  close(): Promise<void>
}

/** Starts a thread, or says why it cannot run here. `onLost` is called when it has ended by itself. */
export async function startMover(
  name: string,
  onLost: (cause: Error) => void,
  openPipe?: (syscalls: Syscalls) => PipeEnds | undefined,
): Promise<{ readonly mover: Mover } | { readonly missing: string }> {
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
    thread = await startPoller(
      name,
      syscalls,
      openPipe?.(syscalls),
      report => inFlight.get(report.socket)?.(report),
      onEnd,
    )
  } catch (error) {
    return { missing: error instanceof Error ? error.message : String(error) }
  }
  // A thread that has nothing in flight sleeps in its event loop, where the message itself is enough.
  const post = (command: Command): void => thread.post(command, { wake: inFlight.size > 0 })

  const mover: Mover = {
    async move(socketFd, command, io) {
      io.signal.throwIfAborted()
      if (ended) throw new TransferError('ECANCELED', 0)
      // While the thread works, Node may close the socket and give its number to another.
      const socket = syscalls.duplicate(socketFd)
      if (socket < 0) throw new TransferError(getSystemErrorName(socket), 0)
      const cancel = () => post({ kind: 'cancel', socket })
      io.signal.addEventListener('abort', cancel)
      const report = await new Promise<Report | undefined>(settle => {
        post(command(socket))
        inFlight.set(socket, settle)
      })
      io.signal.removeEventListener('abort', cancel)
      inFlight.delete(socket)
      closeSync(socket)
      if (report !== undefined && report.failure === undefined) return report
      io.signal.throwIfAborted()
      throw new TransferError(report?.failure ?? 'ECANCELED', report?.moved)
    },

    async close() {
      ended = true
      await thread.stop()
    },
  }
  return { mover }
}
