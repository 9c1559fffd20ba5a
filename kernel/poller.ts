/**
 * The thread that moves bytes between files and sockets. It owns no descriptor: whatever happens to it, the main thread
 * can close them all. With nothing to move it sleeps in its event loop like any worker; otherwise it sleeps in
 * epoll_wait, and the main thread wakes it by an eventfd.
 */
import { getSystemErrorName } from 'node:util'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { incoming } from './incoming.ts'
import { outgoing } from './outgoing.ts'
import type { PollerSetup } from './poller-thread.ts'
import { EPOLLET, EPOLLIN, loadSyscalls } from './syscalls.ts'
import type { Command, Report, Transfer, TransferCommand, TransferEnd } from './transfers.ts'
import { widePipe } from './wide-pipe.ts'

/** The longest that the end of the process waits for a thread in epoll_wait. */
const MOST_WAIT_MS = 250
const OVERDUE_CHECK_MS = 200

if (parentPort === null) throw new TypeError('poller.ts is a worker thread')
const port = parentPort
// Only startPoller starts this file.
const { epoll, wakeup, pipe }: PollerSetup = workerData

const loaded = await loadSyscalls()
if ('missing' in loaded) throw new Error(loaded.missing)
const { syscalls } = loaded
const sendWide = pipe && widePipe(syscalls, pipe)

/** By socket: the main thread duplicates one for each transfer and reuses it only after the report. */
const transfers = new Map<number, Transfer>()
let reports: Report[] = []
let checkedMs = 0

syscalls.epollAdd(epoll, wakeup, EPOLLIN | EPOLLET)
port.on('message', (command: Command) => {
  obey(command)
  while (transfers.size > 0) {
    deliver()
    const found = syscalls.epollWait(epoll, MOST_WAIT_MS, ready)
    // Ends the thread, and so every transfer, rather than to try for ever what cannot succeed.
    if (found < 0) throw new Error(`epoll_wait failed: ${getSystemErrorName(found)}`)
    endOverdue()
  }
  deliver()
})
port.postMessage([])

function ready(fd: number, events: number): void {
  const transfer = transfers.get(fd)
  if (transfer !== undefined) takeTurn(fd, transfer, events)
  if (fd !== wakeup) return
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
    obey(next.message)
  }
}

function obey(command: Command): void {
  const { socket } = command
  if (command.kind === 'cancel') {
    const transfer = transfers.get(socket)
    if (transfer !== undefined) finish(socket, transfer, { failure: 'ECANCELED' })
    return
  }
  const begun = begin(command)
  if (begun === undefined) return
  transfers.set(socket, begun)
  // Often all that is needed, and then the socket is never watched.
  takeTurn(socket, begun, 0)
  if (!transfers.has(socket)) return
  const added = syscalls.epollAdd(epoll, socket, begun.interest)
  if (added < 0) finish(socket, begun, { failure: getSystemErrorName(added) })
}

/** Undefined when it has failed already. A mistake here ends one transfer, not the thread. */
function begin(command: TransferCommand): Transfer | undefined {
  try {
    return command.kind === 'send' ? outgoing(syscalls, command, sendWide) : incoming(syscalls, command)
  } catch (error) {
    reports.push({ socket: command.socket, moved: 0, failure: codeOf(error) ?? 'EINVAL' })
    return undefined
  }
}

/** Moves what can be moved. A mistake here ends one transfer, not the thread. */
function takeTurn(socket: number, transfer: Transfer, events: number): void {
  let end: TransferEnd | undefined
  try {
    end = transfer.turn(events)
  } catch (error) {
    end = { failure: codeOf(error) ?? 'EINVAL' }
  }
  if (end) finish(socket, transfer, end)
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

function endOverdue(): void {
  const nowMs = performance.now()
  if (nowMs - checkedMs < OVERDUE_CHECK_MS) return
  checkedMs = nowMs
  for (const [socket, transfer] of transfers) {
    if (transfer.isOverdue(nowMs)) finish(socket, transfer, { failure: 'ETIMEDOUT' })
  }
}

function finish(socket: number, transfer: Transfer, end: TransferEnd): void {
  transfers.delete(socket)
  // Closing the duplicate would not do it: epoll watches the connection, which lives on.
  syscalls.epollRemove(epoll, socket)
  reports.push({ socket, moved: transfer.moved, ...end })
}

function deliver(): void {
  if (reports.length === 0) return
  port.postMessage(reports)
  reports = []
}
