import { createHash } from 'node:crypto'
import { pipeline } from 'node:stream/promises'
import type { Io } from '../oci/io.ts'
import { type Content, imageRepository, imageTag } from './content.ts'

/** Throws unless the server gives the bytes that it was filled with. The largest blob is checked by its length. */
export async function verify(port: number, content: Content, io: Io): Promise<void> {
  const base = `http://127.0.0.1:${port}/v2/${imageRepository}`
  const { small, large, huge, manifest } = content
  const addresses = [small, large]
    .filter(blob => blob !== undefined)
    .map(blob => [`blobs/${blob.digest}`, blob] as const)
  for (const [path, { digest }] of [...addresses, [`manifests/${imageTag}`, manifest] as const]) {
    const response = await fetch(`${base}/${path}`, {
      headers: { Accept: manifest.mediaType },
      signal: io.signal,
    })
    const hash = createHash('sha256')
    if (response.body !== null) await pipeline(response.body, hash)
    const got = `sha256:${hash.digest('hex')}`
    if (response.status !== 200 || got !== digest) {
      throw new Error(`GET ${path}: status ${response.status}, expected ${digest}, got ${got}`)
    }
  }
  if (huge === undefined) return
  const head = await fetch(`${base}/blobs/${huge.digest}`, { method: 'HEAD', signal: io.signal })
  const length = Number(head.headers.get('Content-Length'))
  if (length !== huge.bytes)
    throw new Error(`HEAD of the largest blob: ${length} bytes, expected ${huge.bytes}`)
}
