/** Which address a request comes from: a proxy that is trusted says for whom it asks, and nobody else is believed. */
import type { IncomingMessage } from 'node:http'
import { isIPv4, isIPv6, type Socket } from 'node:net'
import { networkList, parseNetwork } from './client-networks.ts'

/** Whoever connects by a unix socket. */
const unix = 'unix'

/** A network, a single address, or `unix`. */
export const parseTrustedProxy = (text: string): string | undefined =>
  text === unix ? text : parseNetwork(text)

export interface ClientAddresses {
  /** Undefined where there is none, as for who comes by a unix socket. */
  of(req: IncomingMessage): string | undefined
  /** Whether an address is that of a proxy, which asks for many. */
  isProxy(address: string): boolean
  /** To be called for each connection to a unix socket: one that was reset has no address either. */
  cameByUnixSocket(socket: Socket): void
}

/** The setting is asked for each time; what is made of it is kept as long as it stays the same. */
export function clientAddresses(setting: () => readonly string[]): ClientAddresses {
  const unixSockets = new WeakSet<Socket>()
  let known = trustIn([])

  function trust() {
    const trusted = setting()
    if (trusted !== known.trusted) known = trustIn(trusted)
    return known
  }

  return {
    of({ socket, headers }) {
      const { remoteAddress: peer } = socket
      const { trusted, unixToo, isProxy } = trust()
      if (trusted.length === 0) return peer
      const isTrusted = peer === undefined ? unixToo && unixSockets.has(socket) : isProxy(peer)
      return isTrusted ? clientBehind(peer, [headers['x-forwarded-for'] ?? ''].flat().join(), isProxy) : peer
    },
    isProxy: address => trust().isProxy(address),
    cameByUnixSocket(socket) {
      unixSockets.add(socket)
    },
  }
}

function trustIn(trusted: readonly string[]) {
  return {
    trusted,
    unixToo: trusted.includes(unix),
    isProxy: networkList(trusted.filter(each => each !== unix)),
  }
}

/** How many proxies in a row are listened to: more are nowhere, and each takes time to look up. */
const mostHops = 64

/**
 * Each proxy adds at the end whom it was asked by, so what stands there is as good as the proxy; before the first who is
 * not trusted everything can be made up.
 */
export function clientBehind(
  peer: string | undefined,
  forwardedFor: string,
  isProxy: (address: string) => boolean,
): string | undefined {
  let client = peer
  let rest = forwardedFor
  for (let hop = 0; hop < mostHops; hop++) {
    const comma = rest.lastIndexOf(',')
    const address = addressIn(rest.slice(comma + 1))
    if (address === undefined) return client
    client = address
    if (comma < 0 || !isProxy(address)) return client
    rest = rest.slice(0, comma)
  }
  return client
}

/** Some proxies add the port. */
function addressIn(entry: string): string | undefined {
  const text = entry.trim()
  const [, v4, inBrackets, bare] =
    /^(?:([\d.]{7,15})(?::\d{1,5})?|\[([\da-f:.]{2,45})\](?::\d{1,5})?|([\da-f:.]{2,45}))$/i.exec(text) ?? []
  if (v4 !== undefined && isIPv4(v4)) return v4
  const v6 = inBrackets ?? bare
  return v6 !== undefined && isIPv6(v6) ? v6 : undefined
}
