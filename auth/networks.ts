/** Whom an address stands for: one customer of a provider has a /64 of IPv6, or shares a /24 of IPv4 with few. */
import { isIPv4, isIPv6 } from 'node:net'

export interface Network {
  /** As narrow as it makes sense to count: an IPv4 address, or a /64 of IPv6. */
  readonly host: string
  /** The neighbourhood: a /24, or a /64. */
  readonly net: string
}

/** What is no address, such as a unix socket's peer, is one network of its own. */
export function networkOf(address: string): Network {
  const plain = address.replace(/%.*$/, '')
  if (isIPv4(plain)) return ofIPv4(plain)
  if (!isIPv6(plain)) return { host: 'local', net: 'local' }
  const groups = groupsOf(plain)
  // ::ffff:a.b.c.d is how a socket for both families shows an IPv4 peer.
  if (groups.slice(0, 5).every(group => group === 0) && groups[5] === 0xffff)
    return ofIPv4(
      groups
        .slice(6)
        .flatMap(group => [group >> 8, group & 0xff])
        .join('.'),
    )
  const net = `${groups
    .slice(0, 4)
    .map(group => group.toString(16))
    .join(':')}::/64`
  return { host: net, net }
}

function ofIPv4(address: string): Network {
  return { host: address, net: `${address.slice(0, address.lastIndexOf('.'))}.0/24` }
}

/** The eight groups of an IPv6 address. */
function groupsOf(address: string): readonly number[] {
  const [head = '', tail] = address.split('::')
  const before = numbersOf(head)
  if (tail === undefined) return before
  const after = numbersOf(tail)
  return [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after]
}

function numbersOf(text: string): readonly number[] {
  return text.split(':').flatMap(group => {
    if (group === '') return []
    const [a = 0, b = 0, c = 0, d] = group.split('.').map(Number)
    return d === undefined ? [Number.parseInt(group, 16)] : [(a << 8) | b, (c << 8) | d]
  })
}
