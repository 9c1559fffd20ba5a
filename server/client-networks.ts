/** Networks of clients, as settings list them. */
import { BlockList, isIP } from 'node:net'

/** `10.0.0.0/8`, `fd00::/8` or a single address, as it was written; undefined for anything else. */
export function parseNetwork(text: string): string | undefined {
  const [address = '', bits, ...more] = text.split('/')
  const family = isIP(address)
  if (family === 0 || address.includes('%') || more.length > 0) return undefined
  const isPrefix = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= mostBits(address))
  return isPrefix ? text : undefined
}

/** Whether it leaves nobody out. */
export const isEverybody = (network: string): boolean => /\/0+$/.test(network)

/** Whether an address is in one of these. An IPv4 address is the same in IPv6's words (::ffff:192.0.2.1). */
export function networkList(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits = mostBits(address)] = network.split('/')
    list.addSubnet(address, Number(bits), familyOf(address))
  }
  return address => {
    const plain = address.replace(/%.*$/, '')
    return list.check(plain, familyOf(plain))
  }
}

/** Of a single address. */
export const mostBits = (address: string) => (isIP(address) === 6 ? 128 : 32)
const familyOf = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4')
