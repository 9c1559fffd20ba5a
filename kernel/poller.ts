/**
 * The thread that moves files into sockets. It owns no descriptor: whatever happens to it, the main thread can close
 * them all. With nothing to send it sleeps in its event loop like any worker; otherwise it sleeps in epoll_wait, and
 * the main thread wakes it by an eventfd.
 */
import { getSystemErrorName } from 'node:util'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { Command, PollerSetup, Report, SendCommand } from './poller-thread.ts'
import { EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, isTryLater, loadSyscalls } from './syscalls.ts'

/** What one socket may take before the next has its turn. */
const TURN_BYTES = 1024 * 1024
/** How far a slow disk is asked to read ahead of a socket. */
const AHEAD_BYTES = 8 * TURN_BYTES
/** From memory a turn takes a fifth of this: one that takes longer has waited for the disk. */
const DISK_TURN_MS = 1
/** The longest that the end of the process waits for a thread in epoll_wait. */
const MOST_WAIT_MS = 250

interface Transfer {
  readonly command: SendCommand
  position: number
  /** Up to where the disk was asked to read; undefined as long as nothing had to wait for it. */
  advised: number | undefined
}

if (parentPort === null) throw new TypeError('poller.ts is a worker thread')
const port = parentPort
// Only startPoller starts this file.
const { epoll, wakeup }: PollerSetup = workerData

const loaded = await loadSyscalls()
if ('missing' in loaded) throw new Error(loaded.missing)
const { syscalls } = loaded

/** By socket: the main thread duplicates one for each transfer and reuses it only after the report. */
const transfers = new Map<number, Transfer>()
let reports: Report[] = []

syscalls.epollAdd(epoll, wakeup, EPOLLIN | EPOLLET)
port.on('message', (command: Command) => {
  obey(command)
  while (transfers.size > 0) {
    deliver()
    const found = syscalls.epollWait(epoll, MOST_WAIT_MS, ready)
    // Ends the thread, and so every transfer, rather than to try for ever what cannot succeed.
    if (found < 0) throw new Error(`epoll_wait failed: ${getSystemErrorName(found)}`)
  }
  deliver()
})
port.postMessage([])

function ready(fd: number, events: number): void {
  const transfer = transfers.get(fd)
  if (transfer !== undefined) takeTurn(transfer, events)
  if (fd !== wakeup) return
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
    obey(next.message)
  }
}

function obey(command: Command): void {
  const { socket } = command
  const transfer = transfers.get(socket)
  if (command.kind === 'cancel') {
    if (transfer !== undefined) finish(transfer, 'ECANCELED')
    return
  }
  const begun: Transfer = { command, position: command.start, advised: undefined }
  transfers.set(socket, begun)
  // Often all that is needed, and then the socket is never watched.
  takeTurn(begun, 0)
  if (!transfers.has(socket)) return
  const added = syscalls.epollAdd(epoll, socket, EPOLLOUT)
  if (added < 0) finish(begun, getSystemErrorName(added))
}

/** Sends what the socket takes. A mistake here ends one transfer, not the thread. */
function takeTurn(transfer: Transfer, events: number): void {
  const { socket, file, end } = transfer.command
  try {
    const began = performance.now()
    const count = Math.min(TURN_BYTES, end - transfer.position)
    const sent = syscalls.sendfile(socket, file, transfer.position, count)
    if (sent > 0) {
      transfer.position += sent
      if (transfer.position === end) finish(transfer)
      else if (performance.now() - began > DISK_TURN_MS || transfer.advised !== undefined) readAhead(transfer)
      return
    }
    if (sent === 0) finish(transfer, 'ENODATA')
    else if (!isTryLater(sent)) finish(transfer, getSystemErrorName(sent))
    // Nobody will ever read what this socket cannot take, and it would be reported ready for ever.
    else if ((events & (EPOLLERR | EPOLLHUP)) !== 0) finish(transfer, 'ECONNRESET')
  } catch {
    finish(transfer, 'EINVAL')
  }
}

/** Keeps a disk busy while other sockets are served: sendfile itself waits for pages that are not in memory. */
function readAhead(transfer: Transfer): void {
  const { file, end } = transfer.command
  const until = Math.min(end, transfer.position + AHEAD_BYTES)
  let from = Math.max(transfer.position, transfer.advised ?? 0)
  // In steps, because the kernel reads only the beginning of a large range.
  for (; from < until; from += TURN_BYTES) syscalls.willNeed(file, from, TURN_BYTES)
  transfer.advised = from
}

function finish(transfer: Transfer, failure?: string): void {
  const { socket, start } = transfer.command
  transfers.delete(socket)
  // Closing the duplicate would not do it: epoll watches the connection, which lives on.
  syscalls.epollRemove(epoll, socket)
  reports.push({ socket, sentBytes: transfer.position - start, failure })
}

function deliver(): void {
  if (reports.length === 0) return
  port.postMessage(reports)
  reports = []
}
