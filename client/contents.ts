import { type Descriptor, type Manifest, parseManifest } from '../oci/manifest.ts'
import { type Platform, platformIn } from './platform.ts'

/** What a manifest names, with sizes. */
export interface Contents {
  readonly kind: Manifest['kind']
  readonly config: Descriptor | undefined
  readonly layers: readonly Descriptor[]
  /** Config and layers that a registry keeps: each once, without those that others distribute. */
  readonly blobs: readonly Descriptor[]
  readonly manifests: readonly Child[]
}

export interface Child extends Descriptor {
  readonly platform: Platform | undefined
}

/** Throws MANIFEST_INVALID. */
export function contentsOf({
  mediaType,
  bytes,
}: {
  readonly mediaType: string
  readonly bytes: Buffer
}): Contents {
  const { kind, blobs, children } = parseManifest(mediaType, bytes)
  // The parser has vouched for every descriptor in these fields, and keeps of them what storage needs.
  const body = JSON.parse(bytes.toString()) as ManifestBody
  const config = kind === 'image' ? (body.config ?? undefined) : undefined
  const layers = kind === 'image' ? [...(body.layers ?? []), ...(config ? [] : (body.blobs ?? []))] : []
  const named = new Map([...(config ? [config] : []), ...layers].map(each => [each.digest, each]))
  return {
    kind,
    config,
    layers,
    blobs: blobs.flatMap(digest => named.get(digest) ?? []),
    manifests: (children.length > 0 ? (body.manifests ?? []) : []).map(child => ({
      ...child,
      platform: platformIn(child.platform),
    })),
  }
}

interface ManifestBody {
  readonly config?: Descriptor | null
  readonly layers?: readonly Descriptor[] | null
  /** Of OCI's former artifact manifests. */
  readonly blobs?: readonly Descriptor[] | null
  readonly manifests?: readonly (Descriptor & { readonly platform?: unknown })[] | null
}
