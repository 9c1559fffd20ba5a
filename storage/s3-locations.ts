/**
 * Addresses by which a client fetches an object from the store by itself (Signature Version 4 in the query). By hand: the
 * SDK's way is one more package, and forty times as dear, for what is asked of us with every layer that is pulled.
 */
import { createHash, createHmac } from 'node:crypto'
import type { Bucket } from './bucket.ts'
import { answered } from './s3-faults.ts'
import type { Requests, Signer } from './s3-requests.ts'

/** Whoever sees an address may use it for so long. */
const lifeMs = 600_000
/** Within each such time an address stays the same, whoever makes it: all our processes agree, and need remember nothing. */
const stableMs = lifeMs / 2
/** What is left of credentials that are worth making an address with. */
const leastMs = 60_000

/** A clock that is off by less is right: what the store's says to the second differs from one of our processes to the next. */
const clockMs = 60_000

/** It is data to whoever opens it, whatever was pushed. */
const pinned = {
  'response-content-disposition': 'attachment',
  'response-content-type': 'application/octet-stream',
}

export function s3Locations({ prefix, base, signer }: Requests, now: () => number): Pick<Bucket, 'locate'> {
  return {
    locate: (key, io) =>
      answered(io, async () => {
        const by = await signer()
        const storeMs = now() + (Math.abs(by.clockOffsetMs) < clockMs ? 0 : by.clockOffsetMs)
        if (by.expiration && by.expiration.getTime() - storeMs < leastMs) return undefined
        const url = new URL((await base()) + prefix + key)
        return signed(url, by, new Date(storeMs - (storeMs % stableMs)))
      }),
  }
}

function signed(url: URL, by: Signer, from: Date): string {
  const stamp = from.toISOString().replace(/[-:]|\.\d+/g, '')
  const scope = [stamp.slice(0, 8), by.region, 's3', 'aws4_request']
  // In the order of their names, as they are signed.
  const query = Object.entries({
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': [by.accessKeyId, ...scope].join('/'),
    'X-Amz-Date': stamp,
    'X-Amz-Expires': `${lifeMs / 1000}`,
    ...(by.sessionToken !== undefined && { 'X-Amz-Security-Token': by.sessionToken }),
    'X-Amz-SignedHeaders': 'host',
    ...pinned,
  })
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join('&')
  const request = ['GET', url.pathname, query, `host:${url.host}`, '', 'host', 'UNSIGNED-PAYLOAD'].join('\n')
  const hash = createHash('sha256').update(request).digest('hex')
  const text = ['AWS4-HMAC-SHA256', stamp, scope.join('/'), hash].join('\n')
  const key = scope.reduce<string | Buffer>(hmac, `AWS4${by.secretAccessKey}`)
  return `${url.href}?${query}&X-Amz-Signature=${hmac(key, text).toString('hex')}`
}

const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()
