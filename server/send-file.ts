/** The body of an answer from a local file: by the kernel where it can, otherwise through large reused buffers. */
import { read } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { TransferError } from '../kernel/mover.ts'
import type { FileSender } from '../kernel/sender.ts'
import type { Io } from '../oci/io.ts'
import type { ByteRange } from '../oci/ranges.ts'
import { bufferPool } from './buffer-pool.ts'
import { clientGone, whileConnected } from './connected.ts'
import { descriptorOf } from './handle.ts'

/** Up to here one read and one write are cheaper than any hand-over. */
const SMALL_BYTES = 64 * 1024
/** 512 KiB fit the second-level cache and make few calls; 32 of them serve 16 answers before buffers get small. */
const pool = bufferPool({ largeBytes: 512 * 1024, mostLarge: 32, smallBytes: 64 * 1024 })

/** Where an answer goes, and what stops it. */
interface Destination {
  readonly res: ServerResponse
  /** Not res.socket: that is null while an earlier answer on the same connection is being sent. */
  readonly socket: Socket
  readonly io: Io
}

/**
 * Answers with the bytes [start, end) of a file. Status and headers, Content-Length among them, are set on `res` and
 * not sent yet. Resolves when the kernel has taken the answer; the connection then goes on to the next request.
 *
 * Rejects with the signal's reason when it aborts, with an error of code ECONNRESET or EPIPE when the client is gone,
 * and with another when the file is too short or cannot be read. The connection is destroyed then, so that no client
 * takes a part for the whole. The descriptor stays the caller's, and is not used any more when this has settled.
 */
export async function sendFile(
  req: IncomingMessage,
  res: ServerResponse,
  file: { readonly fd: number },
  range: ByteRange,
  sender: FileSender | undefined,
  io: Io,
): Promise<void> {
  const to: Destination = { res, socket: req.socket, io }
  // Node cannot count what the kernel sends.
  res.strictContentLength = false
  try {
    if (res.socket === null) await unlessGone(to, done => res.once('socket', () => done()))
    if (range.end - range.start <= SMALL_BYTES) await sendAtOnce(to, file.fd, range)
    else if (!(await sendByKernel(to, file.fd, range, sender))) await sendByBuffers(to, file.fd, range)
  } catch (error) {
    req.socket.destroy()
    throw error
  }
}

async function sendAtOnce(to: Destination, fd: number, { start, end }: ByteRange): Promise<void> {
  const bytes = await readFully(fd, Buffer.allocUnsafe(end - start), start)
  await unlessGone(to, done => to.res.end(bytes, done))
}

/** False when nothing was sent but the headers: there is no way here, or the other way will find what is wrong. */
async function sendByKernel(
  to: Destination,
  fd: number,
  { start, end }: ByteRange,
  sender: FileSender | undefined,
): Promise<boolean> {
  const { res, socket, io } = to
  if (sender === undefined || descriptorOf(socket) === undefined) return false
  res.flushHeaders()
  // What Node still holds goes first: this callback comes after all writes before it.
  if (socket.writableLength > 0) await unlessGone(to, done => socket.write('', done))
  const socketFd = descriptorOf(socket)
  if (socketFd === undefined) return false

  try {
    const { remoteAddress, localAddress } = socket
    const isSameHost = remoteAddress !== undefined && remoteAddress === localAddress
    await whileConnected(socket, io, ({ signal }) =>
      sender.send(socketFd, fd, start, end, { signal, isSameHost }),
    )
  } catch (error) {
    if (error instanceof TransferError && error.moved === 0) return false
    throw error
  }
  res.end()
  return true
}

/** Writes one buffer while the other is being read. */
async function sendByBuffers(to: Destination, fd: number, { start, end }: ByteRange): Promise<void> {
  let position = start
  const readInto = (buffer: Buffer): Promise<Buffer> => {
    const part = buffer.subarray(0, end - position)
    position += part.length
    const reading = readFully(fd, part, position - part.length)
    // Its failure is found when it is waited for, which may be later.
    reading.catch(() => {})
    return reading
  }
  const buffers: [Buffer, Buffer] = [pool.take(), pool.take()]
  let [filling, spare] = buffers
  let reading = readInto(filling)
  let reusable = false
  try {
    for (let more = true; more; [filling, spare] = [spare, filling]) {
      const part = await reading
      more = position < end
      if (more) reading = readInto(spare)
      await unlessGone(to, done => to.res.write(part, done))
    }
    to.res.end()
    reusable = true
  } finally {
    await reading.catch(() => {})
    for (const buffer of buffers) pool.giveBack(buffer, { reusable })
  }
}

function readFully(fd: number, buffer: Buffer, position: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const from = (filled: number): void => {
      if (filled === buffer.length) {
        resolve(buffer)
        return
      }
      read(fd, buffer, filled, buffer.length - filled, position + filled, (error, count) => {
        if (error !== null) reject(error)
        else if (count === 0) reject(new Error(`file is too short: it ends at ${position + filled}`))
        else from(filled + count)
      })
    }
    from(0)
  })
}

/** Waits for a callback. Node never calls some of them when the client has gone, so the connection is watched as well. */
function unlessGone(to: Destination, begin: (done: (error?: Error | null) => void) => void): Promise<void> {
  const { socket, io } = to
  return new Promise((resolve, reject) => {
    const settle = (error?: unknown): void => {
      socket.off('close', gone)
      io.signal.removeEventListener('abort', aborted)
      if (error === undefined || error === null) resolve()
      else reject(error)
    }
    const gone = () => settle(clientGone())
    const aborted = () => settle(io.signal.reason)
    if (io.signal.aborted) return aborted()
    if (socket.destroyed) return gone()
    socket.once('close', gone)
    io.signal.addEventListener('abort', aborted)
    begin(settle)
  })
}
