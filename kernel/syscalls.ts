/**
 * The Linux calls that Node has no word for. The only file that knows koffi, which is loaded when first asked for.
 *
 * Every call answers as the kernel does: a number >= 0, or an errno negated. None throws but for a programming mistake.
 */
import { constants } from 'node:os'

const { EAGAIN, EINTR } = constants.errno

const F_DUPFD_CLOEXEC = 1030
const F_SETPIPE_SZ = 1031
const O_CLOEXEC = 0o2000000
const SPLICE_F_NONBLOCK = 2
const EFD_CLOEXEC = 0o2000000
const EFD_NONBLOCK = 0o4000
const EPOLL_CLOEXEC = 0o2000000
const EPOLL_CTL_ADD = 1
const EPOLL_CTL_DEL = 2
const POSIX_FADV_WILLNEED = 3
const IPPROTO_TCP = 6
const TCP_CONGESTION = 13
/** The one congestion control that every kernel has and every process may choose (tcp(7)). */
const RENO = Buffer.from('reno')
/** struct epoll_event in words of 32 bits: events, then a union that begins with the descriptor. Only x86-64 packs it. */
const EVENT_WORDS = process.arch === 'x64' ? 3 : 4
const EVENT_FD_WORD = process.arch === 'x64' ? 1 : 2
const MOST_EVENTS = 64

export const EPOLLIN = 0x001
export const EPOLLOUT = 0x004
export const EPOLLERR = 0x008
export const EPOLLHUP = 0x010
export const EPOLLET = 0x8000_0000

export interface Syscalls {
  /** sendfile(2): moves up to `count` bytes of `file` at `offset` into `socket`. 0: the file ends before `offset`. */
  sendfile(socket: number, file: number, offset: number, count: number): number
  /**
   * splice(2), without waiting for a pipe or a socket: moves up to `count` bytes between a pipe and something else. `offset`:
   * where in `from`, if that is a file. 0: it ends there.
   */
  splice(from: number, offset: number | undefined, to: number, count: number): number
  /** pipe(2), closed on exec: puts the end to read from and the end to write to into `ends`. */
  pipe(ends: Int32Array): number
  /** F_SETPIPE_SZ: asks for room for so many bytes in a pipe. The room that it has then. */
  resizePipe(pipe: number, bytes: number): number
  /** recv(2): up to `count` bytes into the beginning of `buffer`. 0: the sender has ended. */
  receive(socket: number, buffer: Uint8Array, count: number): number
  /** posix_fadvise(2), WILLNEED: starts to read `count` bytes at `offset` into the page cache. */
  willNeed(file: number, offset: number, count: number): number
  /**
   * setsockopt(2), TCP_CONGESTION: one that sends whatever the window has room for. Others, bbr among them, set a timer
   * for each segment, which costs more than the segment where no network is in between.
   */
  unpace(socket: number): number
  /** A second descriptor, closed on exec, of the same open file or socket. */
  duplicate(fd: number): number
  /** A counter to wake a poller with, non-blocking. */
  eventfd(): number
  epollCreate(): number
  epollAdd(epoll: number, fd: number, events: number): number
  epollRemove(epoll: number, fd: number): number
  /** Waits up to `timeoutMs` and names each descriptor that is ready. An interrupted wait is one that found nothing. */
  epollWait(epoll: number, timeoutMs: number, ready: (fd: number, events: number) => void): number
}

/** Whether a call would have had to wait, or was interrupted before it did anything: not a failure, try later. */
export function isTryLater(result: number): boolean {
  return result === -EAGAIN || result === -EINTR
}

/** The calls, or why this machine cannot make them. */
export async function loadSyscalls(): Promise<
  { readonly syscalls: Syscalls } | { readonly missing: string }
> {
  if (process.platform !== 'linux') return { missing: `needs Linux, found ${process.platform}` }
  try {
    return { syscalls: bind((await import('koffi')).default) }
  } catch (error) {
    return { missing: `koffi cannot be used: ${error instanceof Error ? error.message : error}` }
  }
}

function bind(koffi: typeof import('koffi').default): Syscalls {
  // No name: the C library that Node itself runs on, whichever that is.
  const libc = koffi.load(null)
  const define = (signature: string): ((...args: unknown[]) => number) => {
    const call = libc.func(signature)
    return (...args) => {
      // koffi types every result `any`; all signatures below return an integer.
      const result = Number(call(...args))
      return result < 0 ? -koffi.errno() : result
    }
  }
  const sendfile = define('int64_t sendfile(int socket, int file, int64_t *offset, size_t count)')
  const splice = define(
    'int64_t splice(int from, int64_t *fromOffset, int to, int64_t *toOffset, size_t count, unsigned int flags)',
  )
  const pipe = define('int pipe2(int *ends, int flags)')
  const recv = define('int64_t recv(int socket, void *buffer, size_t count, int flags)')
  const fadvise = define('int posix_fadvise(int fd, int64_t offset, int64_t count, int advice)')
  const setsockopt = define('int setsockopt(int socket, int level, int name, void *value, uint32_t length)')
  const fcntl = define('int fcntl(int fd, int command, ...)')
  const eventfd = define('int eventfd(unsigned int initial, int flags)')
  const epollCreate = define('int epoll_create1(int flags)')
  const epollCtl = define('int epoll_ctl(int epoll, int operation, int fd, void *event)')
  const epollWait = define('int epoll_wait(int epoll, void *events, int most, int timeout)')

  const offsetCell = new BigInt64Array(1)
  const event = new Uint32Array(EVENT_WORDS)
  const events = new Uint32Array(EVENT_WORDS * MOST_EVENTS)

  return {
    sendfile(socket, file, offset, count) {
      offsetCell[0] = BigInt(offset)
      return sendfile(socket, file, offsetCell, count)
    },
    splice(from, offset, to, count) {
      if (offset !== undefined) offsetCell[0] = BigInt(offset)
      return splice(from, offset === undefined ? null : offsetCell, to, null, count, SPLICE_F_NONBLOCK)
    },
    pipe: ends => pipe(ends, O_CLOEXEC),
    resizePipe: (fd, bytes) => fcntl(fd, F_SETPIPE_SZ, 'int', bytes),
    receive: (socket, buffer, count) => recv(socket, buffer, count, 0),
    // The one call here that returns its errno, not negated, instead of setting it.
    willNeed: (file, offset, count) => -fadvise(file, offset, count, POSIX_FADV_WILLNEED),
    unpace: socket => setsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, RENO, RENO.length),
    duplicate: fd => fcntl(fd, F_DUPFD_CLOEXEC, 'int', 0),
    eventfd: () => eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
    epollCreate: () => epollCreate(EPOLL_CLOEXEC),
    epollAdd(epoll, fd, interest) {
      event[0] = interest
      event[EVENT_FD_WORD] = fd
      return epollCtl(epoll, EPOLL_CTL_ADD, fd, event)
    },
    epollRemove: (epoll, fd) => epollCtl(epoll, EPOLL_CTL_DEL, fd, event),
    epollWait(epoll, timeoutMs, ready) {
      const count = epollWait(epoll, events, MOST_EVENTS, timeoutMs)
      for (let word = 0; word < count * EVENT_WORDS; word += EVENT_WORDS) {
        ready(events[word + EVENT_FD_WORD] ?? -1, events[word] ?? 0)
      }
      return isTryLater(count) ? 0 : count
    },
  }
}
