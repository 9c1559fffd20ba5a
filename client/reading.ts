/** Bytes of answers, believed only as far as they can be checked. */

import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { codeOf } from '../oci/errors.ts'
import { algorithmOf, type Digest, hexOf } from '../oci/names.ts'
import { ClientError } from './client-error.ts'
import type { Answer } from './exchange.ts'

/** All of a body. Throws ClientError for one that is longer than `maxBytes` or ends too early. */
export async function readAll({ url, headers, body }: Answer, maxBytes: number): Promise<Buffer> {
  const tooLong = () => new ClientError(`${addressOf(url)} is longer than ${maxBytes} bytes: refused`)
  if (Number(headers['content-length'] ?? 0) > maxBytes) {
    body.destroy()
    throw tooLong()
  }
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of whole(url, body)) {
    size += chunk.length
    if (size > maxBytes) throw tooLong()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Hands the bytes on, and fails at the end, or past it, unless they are those of the digest. */
export async function* verified(
  { url, body }: Answer,
  { digest, size }: { readonly digest: Digest; readonly size: number },
): AsyncGenerator<Buffer> {
  const hash = createHash(algorithmOf(digest))
  let received = 0
  for await (const chunk of whole(url, body)) {
    received += chunk.length
    if (received > size) throw new ClientError(`${addressOf(url)} is longer than its ${size} bytes: refused`)
    hash.update(chunk)
    yield chunk
  }
  if (received < size)
    throw new ClientError(`${addressOf(url)} ended after ${received} of ${size} bytes: try again`)
  if (hash.digest('hex') !== hexOf(digest)) throw otherBytes(url, digest)
}

/** What to say of bytes that are not what they were asked for as. */
export function otherBytes(url: URL, digest: Digest): ClientError {
  return new ClientError(`${addressOf(url)} holds other bytes than those of ${digest}: refused`)
}

const maxDiscardedBytes = 64 * 1024

/** Reads the rest, so that the connection can be used again; cuts it off when there is much. */
export async function discard({ body }: Answer): Promise<void> {
  let size = 0
  try {
    for await (const chunk of body) {
      size += chunk.length
      if (size > maxDiscardedBytes) break
    }
  } catch {
    // Nobody wants these bytes, so it does not matter that they end early.
  }
}

/** Without the query, which may hold a signature. */
const addressOf = ({ host, pathname }: URL) => `${host}${pathname}`

async function* whole(url: URL, body: Readable): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of body) yield chunk
  } catch (cause) {
    if (codeOf(cause) === 'ECONNRESET')
      throw new ClientError(`${addressOf(url)} was cut off: try again`, { cause })
    throw cause
  }
}
