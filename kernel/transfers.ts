/** What the two threads tell each other. */
import type { ReceiveCommand } from './incoming.ts'
import type { SendCommand } from './outgoing.ts'

/** `socket` is a descriptor that is used for this transfer only; it names the transfer. */
export type TransferCommand = SendCommand | ReceiveCommand

export type Command = TransferCommand | { readonly kind: 'cancel'; readonly socket: number }

/** How a transfer ended. */
export interface TransferEnd {
  /** An errno name; undefined when all was moved. */
  readonly failure?: string
  /** In hexadecimal, of what was received. */
  readonly digest?: string
}

/** The end of a transfer. From here on the thread knows neither of its descriptors. */
export interface Report extends TransferEnd {
  readonly socket: number
  /** Bytes of content. */
  readonly moved: number
}

/** Work on one socket, a turn at a time. */
export interface Transfer {
  /** What of the socket it waits for, as epoll calls it. */
  readonly interest: number
  /** Bytes of content so far. */
  readonly moved: number
  /** Does what can be done without waiting for the socket, and no more than its share. Undefined: there is more to do. */
  turn(events: number): TransferEnd | undefined
  /** Whether the other side has taken too long. Asked now and then. */
  isOverdue(nowMs: number): boolean
}
