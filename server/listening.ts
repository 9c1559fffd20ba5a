/** Which addresses may be listened on: a registry must not be open to other machines by accident. */
import { formatListenAddress, isLocal, type ListenAddress } from './addresses.ts'
import { hasTls, type Settings } from './config.ts'

export interface Listening {
  readonly addresses: readonly ListenAddress[]
  /** Whoever can connect may do anything: no user is known, and no rule is written. */
  readonly isOpen: boolean
  readonly tls: boolean
  /** Other machines may connect without TLS. */
  readonly insecure: boolean
}

/** What is most likely forgotten: who answers at an https:// address without TLS of our own is a proxy. */
export function proxyDoubt(settings: Pick<Settings, 'url' | 'tls' | 'trustedProxies'>): string | undefined {
  const isBehindProxy = settings.url?.startsWith('https:') && !hasTls(settings)
  if (!isBehindProxy || settings.trustedProxies.length > 0) return undefined
  return (
    'clients come by https and there is no tls here, so a proxy is in front; without trusted_proxies all of them count ' +
    'as one, and the wrong passwords of one keep out the others: set trusted_proxies, and let the proxy send X-Forwarded-For'
  )
}

/** Why addresses may not be listened on, one line each. */
export function listeningFaults({ addresses, isOpen, tls, insecure }: Listening): string[] {
  const exposed = addresses.filter(address => !isLocal(address)).map(formatListenAddress)
  return exposed.flatMap(address => [
    ...(isOpen
      ? [
          `${address} is open to other machines, and everyone there could do anything: make a user with ` +
            'slipway user add --admin NAME, or set login.htpasswd, workloads or access, or listen on 127.0.0.1',
        ]
      : []),
    ...(tls || insecure
      ? []
      : [
          `${address} is open to other machines, and passwords and images would pass unencrypted: set tls.cert ` +
            'and tls.key; or listen on 127.0.0.1 behind a proxy with TLS on this machine; or set insecure: true where ' +
            'a proxy on another machine does it, over a network that nobody else can listen to',
        ]),
  ])
}
