/** Sends files into sockets from one thread beside Node's own, without the bytes ever entering the process. */
import { type Cancellation, startMover } from './mover.ts'
import { openWidePipe } from './wide-pipe.ts'

export interface Sending extends Cancellation {
  /** Whether the socket's other end is on this machine too: there is no network then to be careful with. */
  readonly isSameHost?: boolean
}

export interface FileSender {
  /**
   * Sends the bytes [start, end) of a file into a connected, non-blocking stream socket, and resolves when the kernel
   * has taken all of them. Both descriptors stay the caller's: the socket may be closed at any time, the file only
   * when this has settled. Nothing else may write to the socket meanwhile.
   *
   * Rejects with the signal's reason when it aborts, and otherwise with a TransferError: ENODATA when the file is too
   * short, ETIMEDOUT when the other side has taken nothing for too long.
   */
  send(socketFd: number, fileFd: number, start: number, end: number, io: Sending): Promise<void>
  /** Ends the thread. Sends in flight reject; later ones reject at once with `moved` 0. */
  close(): Promise<void>
}

/** A client that unpacks while it pulls may rest for a while. */
const usualIdleMs = 300_000

/**
 * Starts the thread, or says why it cannot run here. `onLost` is called when the thread has ended by itself; the sender
 * then behaves as if it were closed.
 */
export async function startFileSender(
  onLost: (cause: Error) => void,
  idleMs = usualIdleMs,
): Promise<{ readonly sender: FileSender } | { readonly missing: string }> {
  const started = await startMover('file-sender', onLost, openWidePipe)
  if ('missing' in started) return started
  const { mover } = started
  return {
    sender: {
      async send(socketFd, file, start, end, io) {
        io.signal.throwIfAborted()
        if (start === end) return
        const { isSameHost = false } = io
        await mover.move(
          socketFd,
          socket => ({ kind: 'send', socket, file, start, end, idleMs, isSameHost }),
          io,
        )
      },
      close: mover.close,
    },
  }
}
