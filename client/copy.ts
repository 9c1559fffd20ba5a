/** Copies an image from one repository to another, byte for byte: what is named first, and its name last. */
import type { Io } from '../oci/io.ts'
import type { Descriptor } from '../oci/manifest.ts'
import type { Digest, Reference } from '../oci/names.ts'
import type { BlobName } from './blobs.ts'
import { ClientError } from './client-error.ts'
import { contentsOf } from './contents.ts'
import type { ManifestContent } from './manifests.ts'
import type { RepositoryClient } from './registry-client.ts'
import { forEachAtOnce, slots } from './slots.ts'

export interface CopyRequest {
  readonly from: RepositoryClient
  readonly to: RepositoryClient
  /** Both are of one registry, which can hand blobs from one to the other. */
  readonly canMount: boolean
  readonly image: ManifestContent
  /** What the image is called at its destination. */
  readonly as: Reference
  observe(event: CopyEvent): void
}

/** Each blob is found once, and ends once; its bytes count only where they are sent. */
export type CopyEvent =
  | { readonly kind: 'found'; readonly bytes: number }
  | { readonly kind: 'sent'; readonly bytes: number }
  | { readonly kind: 'ended'; readonly how: 'there' | 'mounted' | 'sent' }

/** A connection is filled by few; a registry counts the rest against its user. */
const blobsAtOnce = 4
/** Each holds a manifest of up to 4 MiB meanwhile. */
const manifestsAtOnce = 4
/** An index of indexes is rare, and a deeper one is no image. */
const maxDepth = 3

/** Throws ClientError; what has arrived by then stays without a name. */
export async function copyImage(
  { from, to, canMount, image, as, observe }: CopyRequest,
  io: Io,
): Promise<void> {
  const failure = new AbortController()
  const inside = { signal: AbortSignal.any([io.signal, failure.signal]) }
  const inTurn = slots(blobsAtOnce)
  const known = new Map<Digest, Promise<void>>()
  const once = (digest: Digest, copy: () => Promise<void>) => {
    const begun = known.get(digest) ?? copy()
    known.set(digest, begun)
    return begun
  }

  async function copyManifest(manifest: ManifestContent, as: Reference, depth: number): Promise<void> {
    if (depth > maxDepth)
      throw new ClientError(`${manifest.digest} lies more than ${maxDepth} indexes deep: refused`)
    const { blobs, manifests } = contentsOf(manifest)
    await forEachAtOnce(blobs, blobsAtOnce, blob => once(blob.digest, () => inTurn(() => copyBlob(blob))))
    await forEachAtOnce(manifests, manifestsAtOnce, ({ digest }) =>
      once(digest, async () => copyManifest(await from.manifests.get(digest, inside), digest, depth + 1)),
    )
    await to.manifests.put(as, manifest, inside)
  }

  async function copyBlob({ digest, size }: Descriptor): Promise<void> {
    observe({ kind: 'found', bytes: size })
    if (await to.blobs.has(digest, inside)) return observe({ kind: 'ended', how: 'there' })
    const source = {
      mountFrom: canMount ? from.name : undefined,
      body: { size, open: () => observed({ digest, size }) },
    }
    observe({ kind: 'ended', how: await to.blobs.upload(digest, source, inside) })
  }

  async function* observed(blob: BlobName) {
    for await (const chunk of await from.blobs.open(blob, inside)) {
      yield chunk
      observe({ kind: 'sent', bytes: chunk.length })
    }
  }

  try {
    await copyManifest(image, as, 0)
  } catch (error) {
    failure.abort(error)
    throw error
  }
}
