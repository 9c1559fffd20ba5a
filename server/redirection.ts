/** Who is sent to the store for large blobs, and who gets them from us. */
import { BlockList, isIP } from 'node:net'

/** Everybody, nobody, or everybody but the clients in these networks. */
export type Redirect = boolean | readonly string[]

/** `10.0.0.0/8`, `fd00::/8` or a single address; undefined for anything else. */
export function parseNetwork(text: string): string | undefined {
  const [address = '', bits, ...more] = text.split('/')
  const family = isIP(address)
  if (family === 0 || address.includes('%') || more.length > 0) return undefined
  const most = family === 4 ? 32 : 128
  if (bits === undefined) return `${address}/${most}`
  return /^\d{1,3}$/.test(bits) && Number(bits) <= most ? text : undefined
}

/** The setting is asked for each time; what is made of it is kept as long as it stays the same. */
export function redirection(setting: () => Redirect): (address: string | undefined) => boolean {
  let known: Redirect = []
  let isOurs = within([])
  return address => {
    const redirect = setting()
    if (typeof redirect === 'boolean') return redirect
    if (redirect !== known) {
      known = redirect
      isOurs = within(redirect)
    }
    return !isOurs(address)
  }
}

/**
 * Whether clients take along there what they have shown us, as those in Go do to the same host, whatever the port, and to
 * hosts below it. The store refuses who shows more than the address, and our tokens are no business of its.
 */
export function isSameHost(host: string | undefined, location: string): boolean {
  const from = URL.parse(`http://${host}`)?.hostname
  const to = URL.parse(location)?.hostname
  return from !== undefined && to !== undefined && (to === from || to.endsWith(`.${from}`))
}

/** Who comes by a unix socket has no address, and is in no network. */
function within(networks: readonly string[]): (address: string | undefined) => boolean {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    list.addSubnet(address, Number(bits), familyOf(address))
  }
  return address => {
    const plain = address?.replace(/%.*$/, '')
    return plain !== undefined && list.check(plain, familyOf(plain))
  }
}

const familyOf = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4')
