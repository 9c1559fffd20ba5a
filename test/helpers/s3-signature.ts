/** AWS Signature Version 4, in a header or in the query: for requests that no S3 client would make. */
import { createHash, createHmac } from 'node:crypto'

export interface S3Credentials {
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

export interface Signable {
  readonly method: string
  readonly url: URL
  /** With lower-case names, the host among them; all of them are signed. */
  readonly headers: Readonly<Record<string, string>>
}

/** What stands for the body in the signature when the body is not part of it. */
const unsignedPayload = 'UNSIGNED-PAYLOAD'

/** The headers with x-amz-date, x-amz-content-sha256 and authorization; a payload hash that is there is kept. */
export function signed(
  request: Signable,
  credentials: S3Credentials,
  at = new Date(),
): Record<string, string> {
  const date = stamp(at)
  const headers = { 'x-amz-content-sha256': unsignedPayload, ...request.headers, 'x-amz-date': date }
  const payload = headers['x-amz-content-sha256']
  const { signature, names, scope } = sign({ ...request, headers }, payload, credentials, date)
  const credential = `${credentials.accessKeyId}/${scope}`
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names}, Signature=${signature}`,
  }
}

/** An address that whoever has it may ask for a while. */
export function presigned(
  request: Signable,
  credentials: S3Credentials,
  { at = new Date(), expiresS = 60 } = {},
): URL {
  const date = stamp(at)
  const url = new URL(request.url)
  url.searchParams.set('X-Amz-Algorithm', 'AWS4-HMAC-SHA256')
  url.searchParams.set('X-Amz-Credential', `${credentials.accessKeyId}/${scopeOf(credentials, date)}`)
  url.searchParams.set('X-Amz-Date', date)
  url.searchParams.set('X-Amz-Expires', String(expiresS))
  url.searchParams.set('X-Amz-SignedHeaders', Object.keys(request.headers).toSorted().join(';'))
  url.search = canonicalQuery(url)
  const { signature } = sign({ ...request, url }, unsignedPayload, credentials, date)
  url.search += `&X-Amz-Signature=${signature}`
  return url
}

function sign(
  { method, url, headers }: Signable,
  payload: string,
  credentials: S3Credentials,
  date: string,
): { signature: string; names: string; scope: string } {
  const sorted = Object.keys(headers).toSorted()
  const names = sorted.join(';')
  const canonical = [
    method,
    url.pathname.split('/').map(decodeURIComponent).map(escaped).join('/'),
    canonicalQuery(url),
    ...sorted.map(name => `${name}:${headers[name]?.trim().replace(/ +/g, ' ')}`),
    '',
    names,
    payload,
  ].join('\n')
  const scope = scopeOf(credentials, date)
  const text = ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n')
  const key = scope
    .split('/')
    .reduce<string | Buffer>((key, part) => hmac(key, part), `AWS4${credentials.secretAccessKey}`)
  return { signature: hmac(key, text).toString('hex'), names, scope }
}

const scopeOf = ({ region }: S3Credentials, date: string) => `${date.slice(0, 8)}/${region}/s3/aws4_request`

/** 20261120T101500Z */
const stamp = (at: Date) => `${at.toISOString().replace(/[-:]|\.\d+/g, '')}`

/** Sorted by name, then by value: a space sorts before whatever either may hold. */
function canonicalQuery(url: URL): string {
  return [...url.searchParams]
    .map(([name, value]) => `${escaped(name)} ${escaped(value)}`)
    .toSorted()
    .map(pair => pair.replace(' ', '='))
    .join('&')
}

const escaped = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()
