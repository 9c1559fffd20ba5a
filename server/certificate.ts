/** The certificate that TLS is served with, and what can be wrong with it. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import { tls } from './node-http.ts'

/** Both in PEM; `cert` has the signers behind it. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

export interface CertificateReport {
  readonly faults: readonly { readonly of: 'cert' | 'key'; readonly fault: string }[]
  readonly warnings: readonly string[]
}

const dayMs = 86_400_000
/** Whoever renews by hand wants to know so long before; whoever does it by a program has certificates of a few days. */
const longestNoticeMs = 14 * dayMs

/** What TLS contexts are made of. Older versions are broken. */
export function secureOptions({ cert, key }: Certificate): SecureContextOptions {
  return { cert, key, minVersion: 'TLSv1.2' }
}

/** Says nothing of what is in the key. `host` is what clients call this registry. */
export function inspectCertificate(
  pair: Certificate,
  { host, nowMs }: { readonly host: string | undefined; readonly nowMs: number },
): CertificateReport {
  const certificate = attempt(() => new X509Certificate(pair.cert))
  const key = attempt(() => createPrivateKey(pair.key))
  const faults = [
    ...faultsOf(certificate, key),
    ...(certificate && key ? misfits(pair, certificate, key) : []),
  ]
  return { faults, warnings: certificate ? warningsOf(certificate, host, nowMs) : [] }
}

export function expiryOf({ cert }: Certificate): Date {
  return new X509Certificate(cert).validToDate
}

function faultsOf(certificate: X509Certificate | undefined, key: KeyObject | undefined) {
  return [
    ...(certificate ? [] : [{ of: 'cert', fault: 'has no certificate in PEM form' } as const]),
    ...(key ? [] : [{ of: 'key', fault: 'has no key in PEM form without a password' } as const]),
  ]
}

function misfits(pair: Certificate, certificate: X509Certificate, key: KeyObject) {
  if (!certificate.checkPrivateKey(key)) return [{ of: 'key', fault: 'is not the key of tls.cert' } as const]
  try {
    tls().createSecureContext(secureOptions(pair))
    return []
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return [{ of: 'cert', fault: `cannot be used for TLS: ${reason}` } as const]
  }
}

function warningsOf(certificate: X509Certificate, host: string | undefined, nowMs: number): string[] {
  const { validFromDate, validToDate } = certificate
  const leftMs = validToDate.getTime() - nowMs
  const noticeMs = Math.min(longestNoticeMs, (validToDate.getTime() - validFromDate.getTime()) / 3)
  const day = (date: Date) => date.toISOString().slice(0, 10)
  return [
    ...(leftMs < 0 ? [`expired on ${day(validToDate)}, and clients refuse it`] : []),
    ...(leftMs >= 0 && leftMs < noticeMs ? [`expires on ${day(validToDate)}: renew it`] : []),
    ...(validFromDate.getTime() > nowMs ? [`is not valid before ${day(validFromDate)}`] : []),
    ...(host !== undefined && !isFor(certificate, host) ? [`is not for ${host}, and clients refuse it`] : []),
  ]
}

function isFor(certificate: X509Certificate, host: string): boolean {
  const address = host.replace(/^\[|\]$/g, '')
  return (isIP(address) ? certificate.checkIP(address) : certificate.checkHost(host)) !== undefined
}

function attempt<Value>(make: () => Value): Value | undefined {
  try {
    return make()
  } catch {
    return undefined
  }
}
