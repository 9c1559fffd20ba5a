import { BlockList, isIP, isIPv6 } from 'node:net'

/** Where to listen. Port 0: any that is free. An empty host is every address of this machine. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/** What Linux takes as the name of a socket (sun_path, less the final zero). */
const maxSocketPathBytes = 107

/** `127.0.0.1:5000`, `localhost:5000`, `[::1]:5000`, `:5000` or `unix:/path`; undefined for anything else. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length)
    return path.startsWith('/') && Buffer.byteLength(path) <= maxSocketPathBytes && !path.includes('\0')
      ? { kind: 'unix', path }
      : undefined
  }
  const [, inBrackets, name = '', digits] = /^(?:\[([^\]%]+)\]|([A-Za-z0-9._-]*)):(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  if (!(port <= 65_535)) return undefined
  if (inBrackets === undefined) return { kind: 'tcp', host: name, port }
  return isIPv6(inBrackets) ? { kind: 'tcp', host: inBrackets, port } : undefined
}

export function formatListenAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  return `${isIPv6(address.host) ? `[${address.host}]` : address.host}:${address.port}`
}

/** Whether only programs on this machine can connect. Of all names only `localhost` is known to mean that. */
export function isLocal(address: ListenAddress): boolean {
  if (address.kind === 'unix') return true
  const family = isIP(address.host)
  if (family === 0) return address.host.toLowerCase() === 'localhost'
  const loopback = new BlockList()
  loopback.addSubnet('127.0.0.0', 8)
  loopback.addAddress('::1', 'ipv6')
  return loopback.check(address.host, family === 6 ? 'ipv6' : 'ipv4')
}
