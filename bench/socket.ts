import { constants } from 'node:os'
import koffi from 'koffi'

/**
 * TCP sockets in one thread, by the system calls themselves. Received bytes can be discarded inside the kernel
 * (MSG_TRUNC), so that a client which only counts does not take the processor from the server that it measures.
 */
export interface Socket {
  /** All of it. The number of bytes. */
  send(bytes: Uint8Array): Promise<number>
  /** What has come, at least one byte; 0 when the other side has closed. */
  receive(into: Uint8Array): Promise<number>
  /** Takes so many bytes and forgets them. The number that came: less only when the other side closed. */
  drain(count: number): Promise<number>
  close(): void
}

export interface Poller {
  connect(port: number): Socket
  /** Serves the sockets until all of these tasks have ended. */
  run(tasks: readonly Promise<void>[]): Promise<void>
}

export interface PollerOptions {
  /** Copies drained bytes into memory, as a client must that wants to have them. */
  readonly copy: boolean
}

const libc = koffi.load('libc.so.6')
const system = {
  socket: libc.func('int socket(int, int, int)'),
  connect: libc.func('int connect(int, void *, uint32)'),
  setsockopt: libc.func('int setsockopt(int, int, int, void *, uint32)'),
  send: libc.func('int64 send(int, void *, uint64, int)'),
  recv: libc.func('int64 recv(int, void *, uint64, int)'),
  poll: libc.func('int poll(void *, uint64, int)'),
  close: libc.func('int close(int)'),
}
// <sys/socket.h>, <poll.h> and <netinet/tcp.h> of Linux.
const [AF_INET, SOCK_STREAM, IPPROTO_TCP, TCP_NODELAY] = [2, 1, 6, 1]
const [MSG_TRUNC, MSG_DONTWAIT, MSG_NOSIGNAL] = [0x20, 0x40, 0x4000]
const [POLLIN, POLLOUT] = [1, 4]

const copyBytes = 512 * 1024
const stallSeconds = 30
const pollMs = 1000

/** Goes on with one socket as far as it can; true when that for which it was waited is done or has failed. */
interface Waiter {
  readonly events: number
  readonly proceed: () => boolean
  readonly fail: (error: unknown) => void
}

export function openPoller({ copy }: PollerOptions): Poller {
  const waiting = new Map<number, Waiter>()
  const scratch = copy ? Buffer.alloc(copyBytes) : null

  /** Calls the step whenever the socket is ready, until it gives something. */
  const until = <T>(fd: number, events: number, step: () => T | undefined) =>
    new Promise<T>((resolve, fail) => {
      const proceed = () => {
        try {
          const result = step()
          if (result === undefined) return false
          resolve(result)
        } catch (error) {
          fail(error)
        }
        return true
      }
      waiting.set(fd, { events, proceed, fail })
    })

  function connect(port: number): Socket {
    const fd = openSocket(port)
    return {
      send(bytes) {
        let sent = 0
        return until(fd, POLLOUT, () => {
          const rest = bytes.subarray(sent)
          sent += transferred('send', system.send(fd, rest, rest.length, MSG_DONTWAIT | MSG_NOSIGNAL)) ?? 0
          return sent === bytes.length ? sent : undefined
        })
      },
      receive(into) {
        return until(fd, POLLIN, () => transferred('recv', system.recv(fd, into, into.length, MSG_DONTWAIT)))
      },
      async drain(count) {
        if (count <= 0) return 0
        const flags = MSG_DONTWAIT | (scratch ? 0 : MSG_TRUNC)
        let left = count
        return await until(fd, POLLIN, () => {
          const wanted = scratch ? Math.min(left, copyBytes) : left
          const got = transferred('recv', system.recv(fd, scratch, wanted, flags))
          left -= got ?? 0
          return left === 0 || got === 0 ? count - left : undefined
        })
      },
      close() {
        waiting.delete(fd)
        system.close(fd)
      },
    }
  }

  return { connect, run: tasks => serve(waiting, tasks) }
}

async function serve(waiting: Map<number, Waiter>, tasks: readonly Promise<void>[]): Promise<void> {
  let live = true
  const all = Promise.all(tasks).finally(() => {
    live = false
  })
  // Failures reach the caller by `await all` below, also when they come while the loop is running.
  all.catch(() => {})
  while (live) {
    if (waiting.size > 0) pollUntilDone(waiting)
    // What was waited for goes on here, and may wait again.
    await new Promise(setImmediate)
  }
  await all
}

/** poll(2) over all that wait, until one of them is done: moving bytes meanwhile takes no turn of the event loop. */
function pollUntilDone(waiting: Map<number, Waiter>): void {
  const fds = [...waiting.keys()]
  const set = pollSet(waiting)
  for (let lastEvent = performance.now(), done = false; !done; ) {
    const ready = Number(system.poll(set, fds.length, pollMs))
    if (ready < 0) throwUnlessBusy('poll')
    if (ready > 0) lastEvent = performance.now()
    else if (performance.now() - lastEvent > stallSeconds * 1000) {
      failAll(waiting)
      return
    }
    for (const [index, fd] of fds.entries()) {
      if (set.readInt16LE(8 * index + 6) === 0) continue
      if (waiting.get(fd)?.proceed() !== true) continue
      waiting.delete(fd)
      done = true
    }
  }
}

/** struct pollfd of each: int fd, short events, short revents. */
function pollSet(waiting: Map<number, Waiter>): Buffer {
  const set = Buffer.alloc(8 * waiting.size)
  let at = 0
  for (const [fd, { events }] of waiting) {
    set.writeInt32LE(fd, at)
    set.writeInt16LE(events, at + 4)
    at += 8
  }
  return set
}

/** The count that a call returned; undefined when it could do nothing yet. */
function transferred(call: string, result: unknown): number | undefined {
  const count = Number(result)
  if (count >= 0) return count
  throwUnlessBusy(call)
  return undefined
}

function failAll(waiting: Map<number, Waiter>): void {
  for (const waiter of waiting.values()) waiter.fail(new Error(`nothing came for ${stallSeconds} s`))
  waiting.clear()
}

function openSocket(port: number): number {
  // struct sockaddr_in: family, port in network order, 127.0.0.1
  const address = Buffer.alloc(16)
  address.writeUInt16LE(AF_INET, 0)
  address.writeUInt16BE(port, 2)
  address.set([127, 0, 0, 1], 4)
  const fd = Number(system.socket(AF_INET, SOCK_STREAM, 0))
  if (fd < 0) throw systemError('socket')
  if (Number(system.connect(fd, address, address.length)) < 0) {
    const error = systemError('connect')
    system.close(fd)
    throw error
  }
  setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1)
  return fd
}

function setOption(fd: number, level: number, name: number, value: number): void {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  if (Number(system.setsockopt(fd, level, name, bytes, bytes.length)) < 0) throw systemError('setsockopt')
}

function throwUnlessBusy(call: string): void {
  const { EAGAIN, EINTR } = constants.errno
  const code = koffi.errno()
  if (code !== EAGAIN && code !== EINTR) throw systemError(call)
}

function systemError(call: string): Error {
  const code = koffi.errno()
  const name = Object.entries(constants.errno).find(([, value]) => value === code)?.[0]
  return new Error(`${call}: ${name ?? `errno ${code}`}`)
}
