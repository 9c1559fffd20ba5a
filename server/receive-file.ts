/** The body of a request into a local file: by a thread that has the socket for itself, where that can be. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Framing } from '../kernel/incoming.ts'
import { TransferError } from '../kernel/mover.ts'
import type { FileReceiver, Received } from '../kernel/receiver.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import { admitBody, bodyLength, markTaken, type Pace } from './body.ts'
import { whileConnected } from './connected.ts'
import { descriptorOf, stopReading } from './handle.ts'
import { heldAt } from './held-body.ts'

/** The hand-over costs a connection: Node's parser cannot go on behind a body that it has not seen. */
const worthBytes = 1024 * 1024

/** Whether `receiveFile` can be used on a request whose body nobody has read from. */
export function canReceiveFile(req: IncomingMessage, receiver: FileReceiver): boolean {
  if (descriptorOf(req.socket) === undefined) return false
  return (heldAt(req) !== undefined || (bodyLength(req) ?? 0) >= worthBytes) && receiver.isAvailable()
}

/**
 * Writes the body of a request to a file from its beginning and returns its size and digest. The connection can be
 * answered on afterwards, and ends with that answer.
 *
 * Rejects with REQUEST_TIMEOUT when the body comes too slowly, REQUEST_INVALID when it is not framed as it should be,
 * the signal's reason when that aborts, and with the disk's own error. What came before is in the file.
 */
export async function receiveFile(
  req: IncomingMessage,
  res: ServerResponse,
  fd: number,
  { algorithm, pace }: { readonly algorithm: string; readonly pace: Pace },
  receiver: FileReceiver,
  io: Io,
): Promise<Received> {
  const { socket } = req
  if (!stopReading(socket)) throw new Error('the connection cannot be handed over')
  const state = markTaken(req)
  // What Node has read makes room, and it would go on.
  socket.on('resume', () => stopReading(socket))
  const first = readBuffered(req)
  admitBody(req, res)
  try {
    const framing = framingOf(req, first.length)
    const reception = { file: fd, position: 0, first, framing, algorithm, pace }
    const received = await whileConnected(socket, io, stop =>
      receiver.receive(() => descriptorOf(socket), reception, stop),
    )
    state.whole = true
    return received
  } catch (error) {
    throw meaningOf(error, req)
  }
}

/** What is to come of a body of which `bytes` have been read. */
function framingOf(req: IncomingMessage, bytes: number): Framing {
  const length = bodyLength(req)
  if (length !== undefined) return { kind: 'length', bytes: length - bytes }
  const hold = heldAt(req)
  // It was read in two ways, which must not differ.
  if (hold?.bytes !== bytes) throw new RegistryError('REQUEST_INVALID')
  return { kind: 'chunked', place: hold.place }
}

function readBuffered(req: IncomingMessage): Buffer {
  const bytes: Buffer | null = req.readableLength > 0 ? req.read(req.readableLength) : null
  return bytes ?? Buffer.alloc(0)
}

function meaningOf(error: unknown, req: IncomingMessage): unknown {
  if (!(error instanceof TransferError)) return error
  switch (error.code) {
    case 'ETIMEDOUT':
      return new RegistryError('REQUEST_TIMEOUT', { cause: error })
    case 'EBADMSG':
      return new RegistryError('REQUEST_INVALID', { cause: error })
    case 'ECONNRESET':
      // Node does not read from this connection, and would not notice.
      req.socket.destroy()
      return error
    default:
      return error
  }
}
