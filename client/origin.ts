/** Where a registry is, and what its answers may send us to. */
import { BlockList, isIP } from 'node:net'
import { ClientError } from './client-error.ts'
import { dockerHub } from './image-reference.ts'

/** HTTPS, but for this machine, where nobody listens in, and where the user says otherwise. */
export function registryUrl(
  host: string,
  { plainHttp = false, tls = false }: { readonly plainHttp?: boolean; readonly tls?: boolean },
): URL {
  const authority = host === dockerHub ? 'registry-1.docker.io' : host
  const url = new URL(`https://${authority}`)
  return plainHttp || (isLoopback(url.hostname) && !tls) ? new URL(`http://${authority}`) : url
}

/**
 * An address out of an answer. Throws ClientError for what no registry needs: another protocol, a password in the
 * address, and plain HTTP where the answer itself came by HTTPS.
 */
export function addressIn(answeredBy: URL, text: string): URL {
  const url = URL.canParse(text, answeredBy) ? new URL(text, answeredBy) : undefined
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.username || url.password)
    throw new ClientError(`${answeredBy.host} points to ${JSON.stringify(text.slice(0, 200))}: refused`)
  if (answeredBy.protocol === 'https:' && url.protocol === 'http:')
    throw new ClientError(`${answeredBy.host} points from https to ${url.origin}: refused`)
  return url
}

/** A realm, which will be sent credentials: a registry must not aim them, or us, at a private network of ours. */
export function realmIn(registry: URL, text: string): URL {
  const url = addressIn(registry, text)
  const isElsewhere = url.hostname !== registry.hostname && !isLoopback(registry.hostname)
  if (isElsewhere && isPrivate(url.hostname))
    throw new ClientError(`${registry.host} wants credentials sent to ${url.origin}: refused`)
  return url
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')

const privateNetworks = new BlockList()
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const)
  privateNetworks.addSubnet(network, bits)
for (const [network, bits] of [
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
] as const)
  privateNetworks.addSubnet(network, bits, 'ipv6')

const isLoopback = (hostname: string) => hostname === 'localhost' || isIn(loopback, hostname)
const isPrivate = (hostname: string) => hostname === 'localhost' || isIn(privateNetworks, hostname)

function isIn(list: BlockList, hostname: string): boolean {
  const address = hostname.replace(/^\[(.*)\]$/, '$1')
  const family = isIP(address)
  return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4')
}
