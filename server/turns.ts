import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

export interface Turns {
  readonly take: RequestListener
  /** Whether a request of it has no answer yet. */
  isBusy(socket: Duplex): boolean
  /** Whether a part of an answer has gone: whatever comes behind it would be taken for the rest. */
  isAnswering(socket: Duplex): boolean
}

/** Requests of one connection are handled one after the other, so that a client cannot ask for more than it reads. */
export function inTurn(handle: RequestListener, most: number): Turns {
  const queues = new WeakMap<Duplex, Queue>()

  function begin(queue: Queue, req: IncomingMessage, res: ServerResponse): void {
    queue.current = res
    res.once('close', () => {
      queue.current = undefined
      const next = queue.waiting.shift()
      if (next && req.socket.writable) begin(queue, ...next)
    })
    handle(req, res)
  }

  return {
    take(req, res) {
      const queue = queues.get(req.socket) ?? { current: undefined, waiting: [] }
      queues.set(req.socket, queue)
      // What comes behind an answer that ended the connection asks for nothing (RFC 9112, 9.6): it waits for ever.
      if (queue.current || !req.socket.writable) {
        if (queue.waiting.push([req, res]) > most) req.socket.destroy()
        return
      }
      begin(queue, req, res)
    },
    isBusy: socket => queues.get(socket)?.current !== undefined,
    isAnswering: socket => queues.get(socket)?.current?.headersSent === true,
  }
}

interface Queue {
  /** Forgotten when it is closed: what an idle connection holds on to is copied by every collection. */
  current: ServerResponse | undefined
  readonly waiting: (readonly [IncomingMessage, ServerResponse])[]
}
