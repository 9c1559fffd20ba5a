/** Receives bodies from sockets into files, hashed on the way, in one thread beside Node's own. */
import type { ReceiveCommand } from './incoming.ts'
import { type Cancellation, type Mover, startMover, TransferError } from './mover.ts'

/** A body, and the file it goes to: see ReceiveCommand. */
export type Reception = Omit<ReceiveCommand, 'kind' | 'socket'>

export interface Received {
  /** Bytes of content. */
  readonly bytes: number
  /** In hexadecimal. */
  readonly digest: string
}

export interface FileReceiver {
  /** False once its thread could not be started, or has ended. */
  isAvailable(): boolean
  /**
   * Writes what is left of a body on a connected, non-blocking stream socket to a file. Both descriptors stay the
   * caller's: the socket may be closed at any time, the file only when this has settled. Nothing else may read from
   * the socket meanwhile. A chunked body's framing is read until its end, and possibly bytes behind it.
   *
   * The socket is asked for when the thread is there: while that starts it may be closed, and its number another's.
   *
   * Rejects with the signal's reason when it aborts, and otherwise with a TransferError: ECONNRESET when the sender went
   * away, ETIMEDOUT when it was too slow, EBADMSG when its chunks are none, the disk's own when that refuses. What came
   * before is in the file.
   */
  receive(socketFd: () => number | undefined, reception: Reception, io: Cancellation): Promise<Received>
  close(): Promise<void>
}

/**
 * Its thread starts when it is first needed: a process that is never pushed to does without. `onLost` is called when it
 * could not be started, or has ended by itself; it is not started again.
 */
export function fileReceiver(onLost: (cause: Error) => void): FileReceiver {
  let starting: Promise<Mover | undefined> | undefined
  let available = true

  function lose(cause: Error): void {
    available = false
    onLost(cause)
  }

  async function start(): Promise<Mover | undefined> {
    const started = await startMover('file-receiver', lose)
    if ('mover' in started) return started.mover
    lose(new Error(started.missing))
    return undefined
  }

  return {
    isAvailable: () => available,
    async receive(socketFd, reception, io) {
      if (available) starting ??= start()
      const mover = await starting
      if (!mover) throw new TransferError('ECANCELED', 0)
      const fd = socketFd()
      if (fd === undefined) throw new TransferError('ECONNRESET', 0)
      const { moved, digest = '' } = await mover.move(
        fd,
        socket => ({ kind: 'receive', socket, ...reception }),
        io,
      )
      return { bytes: moved, digest }
    },
    async close() {
      available = false
      await (await starting)?.close()
    },
  }
}
