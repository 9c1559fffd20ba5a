import type { SecureContextOptions } from 'node:tls'

/** Both in PEM; `cert` has the signers behind it. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** What TLS contexts are made of. Older versions are broken. */
export function secureOptions({ cert, key }: Certificate): SecureContextOptions {
  return { cert, key, minVersion: 'TLSv1.2' }
}
