/** What clients call this registry where they must be told: a challenge's realm has to be a whole address. */
import type { IncomingMessage } from 'node:http'
import { isLocal, parseListenAddress } from './addresses.ts'

/**
 * `url` is the setting. Without one it is the address that the client's connection has reached, never what a request
 * claims: its Host could name a stranger, to whom passwords would go. One exception harms nobody: who has come over
 * loopback and calls us by a loopback name, such as localhost:5000, is answered by that name, because some clients
 * show a password to no other host than the one they were given.
 */
export function originOf(req: IncomingMessage, url: string): string {
  if (url !== '') return url
  const { socket } = req
  const scheme = 'encrypted' in socket ? 'https' : 'http'
  const reached = socket.localAddress?.replace(/^::ffff:(?=\d+\.)/, '')
  const named = loopbackNameIn(req.headers.host)
  // A unix socket has no address, and only this machine can reach it.
  if (reached === undefined) return `${scheme}://${named ?? 'localhost'}`
  const host = `${reached.includes(':') ? `[${reached}]` : reached}:${socket.localPort}`
  return `${scheme}://${isLoopback(host) ? (named ?? host) : host}`
}

function loopbackNameIn(host = ''): string | undefined {
  const whole = /:\d+$/.test(host) ? host : `${host}:80`
  return isLoopback(whole) ? host.toLowerCase() : undefined
}

function isLoopback(address: string): boolean {
  const parsed = parseListenAddress(address)
  return parsed !== undefined && parsed.kind === 'tcp' && isLocal(parsed)
}
