/** One file on its way into a socket. */
import { getSystemErrorName } from 'node:util'
import { EPOLLERR, EPOLLHUP, EPOLLOUT, isTryLater, type Syscalls } from './syscalls.ts'
import type { Transfer, TransferEnd } from './transfers.ts'
import { PIPE_BYTES } from './wide-pipe.ts'

export interface SendCommand {
  readonly kind: 'send'
  readonly socket: number
  readonly file: number
  readonly start: number
  readonly end: number
  /** How long the other side may take nothing, in ms. */
  readonly idleMs: number
  readonly isSameHost: boolean
}

/** What one socket may take before the next has its turn. */
const TURN_BYTES = PIPE_BYTES
/** How far a slow disk is asked to read ahead of a socket. */
const AHEAD_BYTES = 8 * TURN_BYTES
/** From memory a turn takes a fifth of this. Twice in a row: the disk was waited for, not the processor. */
const DISK_TURN_MS = 1

export function outgoing(
  syscalls: Syscalls,
  { socket, file, start, end, idleMs, isSameHost }: SendCommand,
  sendWide: Syscalls['sendfile'] = syscalls.sendfile,
): Transfer {
  // Where it is refused, the bytes only go slower.
  if (isSameHost) syscalls.unpace(socket)
  let position = start
  let movedMs = performance.now()
  /** Up to where the disk was asked to read; undefined as long as nothing had to wait for it. */
  let advised: number | undefined
  /** Took a whole turn the last time. One that does not would have most of a full pipe thrown away. */
  let isFast = false
  let slowTurns = 0

  /** Keeps a disk busy while other sockets are served: sendfile itself waits for pages that are not in memory. */
  function readAhead(): void {
    const until = Math.min(end, position + AHEAD_BYTES)
    let from = Math.max(position, advised ?? 0)
    // In steps, because the kernel reads only the beginning of a large range.
    for (; from < until; from += TURN_BYTES) syscalls.willNeed(file, from, TURN_BYTES)
    advised = from
  }

  return {
    interest: EPOLLOUT,
    get moved() {
      return position - start
    },
    turn(events): TransferEnd | undefined {
      const began = performance.now()
      const count = Math.min(TURN_BYTES, end - position)
      const send = isFast ? sendWide : syscalls.sendfile
      const sent = send(socket, file, position, count)
      isFast = sent === TURN_BYTES
      if (sent > 0) {
        position += sent
        movedMs = performance.now()
        if (position === end) return {}
        slowTurns = movedMs - began > DISK_TURN_MS ? slowTurns + 1 : 0
        if (slowTurns >= 2 || advised !== undefined) readAhead()
        return undefined
      }
      if (sent === 0) return { failure: 'ENODATA' }
      if (!isTryLater(sent)) return { failure: getSystemErrorName(sent) }
      // Nobody will ever read what this socket cannot take, and it would be reported ready for ever.
      return (events & (EPOLLERR | EPOLLHUP)) === 0 ? undefined : { failure: 'ECONNRESET' }
    },
    isOverdue: nowMs => nowMs - movedMs > idleMs,
  }
}
