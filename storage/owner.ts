import { randomUUID } from 'node:crypto'
import net from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { codeOf, RegistryError } from '../oci/errors.ts'
import { file, ifThere } from './durable.ts'
import type { Referee } from './referee.ts'
import type { Lease } from './wal-writer.ts'

/**
 * Several processes use one folder: the workers of a server, and commands beside it. Compare-and-set between them
 * needs a referee that dies with its process. The first process listens on the unix socket `owner.sock` in the folder
 * and is the owner; whoever finds it alive is its client (owner-client.ts). Only what needs a referee goes through it;
 * all else each process does by itself. A client's locks go with its connection.
 */
export interface Hello {
  readonly pid: number
  /** A server keeps the folder for as long as it runs; a command gives it back soon. */
  readonly role: 'server' | 'command'
}

/** What a client asks of the owner. One line of JSON each way; bytes in base64. */
export type OwnerRequest = { readonly id: number } & (
  | { readonly op: 'hello' }
  | { readonly op: 'lease'; readonly holding?: number | undefined }
  | { readonly op: 'lock' | 'unlock'; readonly key: string }
  | { readonly op: 'remove'; readonly key: string; readonly etag: string; readonly deadlineMs: number }
  | {
      readonly op: 'replace'
      readonly key: string
      readonly bytes: string
      readonly etag: string
      readonly deadlineMs: number
    }
)

export type OwnerAnswer =
  | { readonly id: number; readonly result: unknown }
  /** The owner gives the folder up: what it has not answered yet it will not look at. */
  | { readonly id: 0; readonly leaving: true }
  | {
      readonly id: number
      readonly fault: string
      readonly code: string | undefined
      readonly message: string
    }

/** Given up by `close`, which resolves when nothing is being done for a client any more, and all of them know. */
export interface Ownership {
  close(): Promise<void>
}

/** What the owner lends to its clients, from when it owns the folder until it gives that up. */
export interface Lender {
  begin(): Promise<void>
  /** For this client alone, and not what it still holds; undefined: not now. */
  lease(client: object, holding: number | undefined): Promise<Lease | undefined>
  release(client: object): void
  end(): Promise<void>
}

/** A unix socket's address holds 107 bytes; through the folder's descriptor it is short however deep the folder lies. */
const addressIn = (folderFd: number, name: string) => `/proc/self/fd/${folderFd}/${name}`

/** The owner of a folder, or undefined where nobody listens. */
export function connectToOwner(folderFd: number): Promise<net.Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path: addressIn(folderFd, 'owner.sock') })
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      resolve(socket)
    })
    socket.once('error', error => {
      if (['ENOENT', 'ECONNREFUSED'].includes(codeOf(error) ?? '')) resolve(undefined)
      else reject(error)
    })
  })
}

/** How long a client may take to hang up when the owner leaves. */
const farewellMs = 1_000

/** What an owner does for its clients. */
export interface Service {
  readonly referee: Referee
  readonly hello: Hello
  readonly lender?: Lender
}

interface Attendance extends Service {
  /** Nothing is answered before. */
  readonly ready: Promise<void>
  /** What is being done for clients. */
  readonly acting: Set<Promise<void>>
  readonly isLeaving: () => boolean
}

/** Answers a client until it goes away, or the owner does. */
function attend(socket: net.Socket, attendance: Attendance): void {
  const { referee, hello, lender, acting, ready, isLeaving } = attendance
  const held = new Map<string, () => Promise<void>>()

  async function act(request: OwnerRequest): Promise<unknown> {
    await ready
    switch (request.op) {
      case 'hello':
        return hello
      case 'lease':
        return lender?.lease(socket, request.holding)
      case 'replace':
        return referee.replaceIf(
          request.key,
          Buffer.from(request.bytes, 'base64'),
          request.etag,
          request.deadlineMs,
        )
      case 'remove':
        return referee.removeIf(request.key, request.etag, request.deadlineMs)
      case 'lock': {
        const release = await referee.lock(request.key)
        if (release) held.set(request.key, release)
        if (socket.destroyed) await release?.()
        return release !== undefined
      }
      case 'unlock':
        await held.get(request.key)?.()
        return held.delete(request.key)
    }
  }

  async function answer(line: string): Promise<void> {
    const request = JSON.parse(line) as OwnerRequest
    let reply: OwnerAnswer
    try {
      reply = { id: request.id, result: await act(request) }
    } catch (error) {
      const fault = error instanceof RegistryError ? error.fault : 'UNKNOWN'
      reply = {
        id: request.id,
        fault,
        code: codeOf(error),
        message: error instanceof Error ? error.message : '',
      }
    }
    if (socket.writable) socket.write(`${JSON.stringify(reply)}\n`)
  }

  // A line that is no JSON comes from no client of ours: its connection ends.
  const lines = createInterface({ input: socket }).on('line', line => {
    if (isLeaving()) return
    const answered: Promise<void> = answer(line)
      .catch(() => void socket.destroy())
      .finally(() => acting.delete(answered))
    acting.add(answered)
  })
  // A client that is killed resets its connection; the reader of lines says so once more.
  for (const source of [socket, lines]) source.on('error', () => socket.destroy())
  socket.on('close', () => {
    for (const release of held.values()) void release()
    lender?.release(socket)
  })
}

/**
 * One claim at a time: a name in the kernel's own table of sockets, which goes with its process, for as long as `act`
 * runs. Between containers that share a folder the table is not shared; there link(2) alone decides.
 */
async function alone<T>(folderFd: number, act: () => Promise<T>): Promise<T | undefined> {
  const { dev, ino } = await file.fstat(folderFd)
  const lock = net.createServer(socket => socket.destroy())
  try {
    await new Promise<void>((resolve, reject) => {
      lock.once('error', reject).listen({ path: `\0slipway-claim-${dev}-${ino}`, exclusive: true }, resolve)
    })
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') return undefined
    throw error
  }
  try {
    return await act()
  } finally {
    await new Promise<void>(resolve => lock.close(() => resolve()))
  }
}

/**
 * Tries to become the owner; undefined when somebody else is, or may be about to. A socket that nobody listens on was
 * left by a process that died: it is moved away, and moved back if it turns out to be a younger one.
 */
export function claimFolder(
  root: string,
  folderFd: number,
  service: Service,
): Promise<Ownership | undefined> {
  return alone(folderFd, async () => {
    const owner = await connectToOwner(folderFd)
    owner?.destroy()
    return owner ? undefined : become(root, folderFd, service)
  })
}

async function become(root: string, folderFd: number, service: Service): Promise<Ownership | undefined> {
  const own = `owner.${randomUUID().slice(0, 8)}`
  const clients = new Set<net.Socket>()
  const acting = new Set<Promise<void>>()
  const owned = Promise.withResolvers<void>()
  // Its clients are told; nobody else need be there to hear it.
  owned.promise.catch(() => {})
  let closing = false
  const server = net.createServer(socket => {
    if (closing) {
      socket.destroy()
      return
    }
    clients.add(socket)
    socket.on('close', () => clients.delete(socket))
    attend(socket, { ...service, acting, ready: owned.promise, isLeaving: () => closing })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ path: addressIn(folderFd, own), exclusive: true }, resolve)
  })
  server.unref()

  const path = join(root, 'owner.sock')
  let ino: number
  const stop = () => new Promise<void>(resolve => server.close(() => resolve()))
  try {
    const stale = await ifThere(file.stat(path))
    if (stale) {
      const aside = join(root, `${own}.stale`)
      await ifThere(file.rename(path, aside))
      if ((await ifThere(file.stat(aside)))?.ino !== stale.ino) await ifThere(file.link(aside, path))
      await ifThere(file.unlink(aside))
    }
    ino = (await file.stat(join(root, own))).ino
    await file.link(join(root, own), path)
  } catch (error) {
    await stop()
    if (codeOf(error) === 'EEXIST') return undefined
    throw error
  } finally {
    await ifThere(file.unlink(join(root, own)))
  }

  const ownership: Ownership = {
    async close() {
      closing = true
      // The next owner must not decide while a decision of this one is under way.
      await Promise.all(acting)
      await service.lender?.end()
      if ((await ifThere(file.stat(path)))?.ino === ino) await ifThere(file.unlink(path))
      const stopped = stop()
      for (const client of clients) client.write(`${JSON.stringify({ id: 0, leaving: true })}\n`)
      const overdue = setTimeout(() => {
        for (const client of clients) client.destroy()
      }, farewellMs)
      await stopped
      clearTimeout(overdue)
    },
  }
  try {
    await service.lender?.begin()
    owned.resolve()
    return ownership
  } catch (error) {
    owned.reject(error)
    await ownership.close()
    throw error
  }
}
