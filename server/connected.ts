/** Work on a connection that is pointless without its client. */
import type { Socket } from 'node:net'
import type { Io } from '../oci/io.ts'

/** Runs a task with a signal that also aborts when the connection is gone. */
export async function whileConnected<T>(socket: Socket, io: Io, task: (stop: Io) => Promise<T>): Promise<T> {
  io.signal.throwIfAborted()
  // Not AbortSignal.any: under load its garbage grows faster than it is collected.
  const stop = new AbortController()
  const abort = () => stop.abort(io.signal.reason)
  const leave = () => stop.abort(clientGone())
  io.signal.addEventListener('abort', abort)
  socket.once('close', leave)
  try {
    return await task(stop)
  } finally {
    io.signal.removeEventListener('abort', abort)
    socket.off('close', leave)
  }
}

export function clientGone(): Error {
  return Object.assign(new Error('client closed the connection'), { code: 'ECONNRESET' })
}
