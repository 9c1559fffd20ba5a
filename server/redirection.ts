/** Who is sent to the store for large blobs, and who gets them from us. */
import { mostBits, networkList, parseNetwork } from './client-networks.ts'

/** Everybody, nobody, or everybody but the clients in these networks. */
export type Redirect = boolean | readonly string[]

/** As those of clients are written, and a single address with its bits; undefined for anything else. */
export function parseServedNetwork(text: string): string | undefined {
  const network = parseNetwork(text)
  return network === undefined || network.includes('/') ? network : `${network}/${mostBits(network)}`
}

/** The setting is asked for each time; what is made of it is kept as long as it stays the same. */
export function redirection(setting: () => Redirect): (address: string | undefined) => boolean {
  let known: Redirect = []
  let isOurs = networkList([])
  return address => {
    const redirect = setting()
    if (typeof redirect === 'boolean') return redirect
    if (redirect !== known) {
      known = redirect
      isOurs = networkList(redirect)
    }
    // Who comes by a unix socket has no address, and is in no network.
    return address === undefined || !isOurs(address)
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
