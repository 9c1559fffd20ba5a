/** Requests as a store gets them that knows no conditions. */
import type { IncomingMessage } from 'node:http'
import { type S3Credentials, signed } from './s3-signature.ts'

const conditional = new Set(['if-match', 'if-none-match'])

/**
 * The headers of a request without its conditions. What was signed cannot simply be left out: the rest is signed again,
 * with the time and the payload hash of before, so that whatever the store checks of these it checks of the client's.
 */
export function withoutConditions(
  { method = '', url = '', headers }: IncomingMessage,
  credentials: S3Credentials,
): Record<string, string> {
  const { connection: _, authorization, ...given } = headers
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(given))
    if (typeof value === 'string' && !conditional.has(name)) kept[name] = value
  const names = /SignedHeaders=([^,\s]+)/.exec(authorization ?? '')?.[1]?.split(';')
  // A presigned address signs the host alone.
  if (names === undefined) return { ...kept, ...(authorization !== undefined && { authorization }) }
  const signable = Object.fromEntries(Object.entries(kept).filter(([name]) => names.includes(name)))
  const target = new URL(url, `http://${headers.host}`)
  return { ...kept, ...signed({ method, url: target, headers: signable }, credentials, dateOf(headers)) }
}

/** Of 20261120T101500Z. */
function dateOf(headers: IncomingMessage['headers']): Date {
  const date = String(headers['x-amz-date'])
  return new Date(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
}
