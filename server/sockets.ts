/** Where to listen, as the machine has it: what is in the way there, said so that it can be mended. */
import fs from 'node:fs'
import net from 'node:net'
import { dirname } from 'node:path'
import { isNativeError } from 'node:util/types'
import { formatListenAddress, type ListenAddress } from './addresses.ts'

type UnixAddress = Extract<ListenAddress, { kind: 'unix' }>

/** Why nobody can listen there now. `inUse`: that ends with the program that does. */
export interface BindFault {
  readonly inUse: boolean
  /** As it stands in the settings. */
  readonly address: string
  readonly text: string
}

/** Finds out by listening for a moment; a unix socket is not made for that. */
export async function findBindFault(address: ListenAddress): Promise<BindFault | undefined> {
  try {
    if (address.kind === 'unix') await lookAt(address)
    else await listenOnce(address)
    return undefined
  } catch (error) {
    return bindFault(address, error)
  }
}

/** What an address refused to a server, in words. */
export function bindFault(address: ListenAddress, error: unknown): BindFault {
  const code = isNativeError(error) && 'code' in error ? String(error.code) : undefined
  const said = isNativeError(error) ? error.message : String(error)
  const reasons = address.kind === 'unix' ? unixReasons(address) : tcpReasons
  const reason = reasons[code ?? ''] ?? `cannot be listened on (${said}): choose another`
  const name = formatListenAddress(address)
  return { inUse: code === 'EADDRINUSE', address: name, text: `${name} ${reason} with --listen` }
}

/** A unix socket whose server was killed stays behind, and is in the way of the next. Removes nothing else. */
export async function removeStaleSocket(address: ListenAddress): Promise<void> {
  if (address.kind !== 'unix' || (await lookAt(address)) === 'absent') return
  fs.rmSync(address.path, { force: true })
}

const otherwise = 'or choose another'

const tcpReasons: Readonly<Record<string, string>> = {
  EADDRINUSE: `is in use: stop that server, ${otherwise}`,
  EACCES: 'is kept for the administrator: choose a port from 1024 on',
  EADDRNOTAVAIL: 'is no address of this machine: choose another',
  ENOTFOUND: 'has a name that nobody knows: choose another',
}

const unixReasons = ({ path }: UnixAddress): Readonly<Record<string, string>> => ({
  EADDRINUSE: `is in use: stop that server, ${otherwise}`,
  ENOTSOCK: `holds a file that is no socket: move it away, ${otherwise}`,
  EISDIR: 'is a folder: name a file in it',
  ENOENT: `has no folder ${dirname(path)}: make it, ${otherwise}`,
  ENOTDIR: `has no folder ${dirname(path)}: choose another with`,
  EACCES: `cannot be made by this user: give it the folder ${dirname(path)}, ${otherwise}`,
  EROFS: 'is on a file system that is read-only: choose another',
})

function listenOnce({ host, port }: Extract<ListenAddress, { kind: 'tcp' }>): Promise<void> {
  const server = net.createServer(socket => socket.destroy())
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()))
  })
}

/** Throws, as listening would, unless a socket can be made there once a stale one is removed. */
async function lookAt({ path }: UnixAddress): Promise<'absent' | 'stale'> {
  // A link is no socket either: what it leads to is somebody else's.
  const found = fs.lstatSync(path, { throwIfNoEntry: false })
  if (found?.isDirectory()) throw fault('EISDIR')
  if (found && !found.isSocket()) throw fault('ENOTSOCK')
  if (!fs.statSync(dirname(path)).isDirectory()) throw fault('ENOTDIR')
  fs.accessSync(dirname(path), fs.constants.W_OK | fs.constants.X_OK)
  if (!found) return 'absent'
  if (await isListenedOn(path)) throw fault('EADDRINUSE')
  return 'stale'
}

const fault = (code: string) => Object.assign(new Error(code), { code })

function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', error => {
      const code = 'code' in error ? error.code : undefined
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve(false)
      // Its owner takes no more connections just now: there is one.
      else if (code === 'EAGAIN') resolve(true)
      else reject(error)
    })
  })
}
