/** A registry over any store, and pushes in its own words. */
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { Digest, Reference, RepositoryName, Tag } from '../../oci/names.ts'
import { parseRepositoryName, parseTag } from '../../oci/names.ts'
import { readStart } from '../../storage/durable.ts'
import { localRegistry, type RegistryOptions } from '../../storage/local-registry.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import type { ManifestPush, Pusher, Registry } from '../../storage/registry.ts'
import { type Content, digest, type Image } from './images.ts'
import { io } from './waiting.ts'

export const repo = (text: string): RepositoryName => parseRepositoryName(text)
export const tag = (text: string): Tag => parseTag(text)

export const app = repo('team/app')
/** Its owner has every character that the name of one may have. */
export const pusher: Pusher = { name: app, owner: 'robot:ci.a-b_c' }

export function registryOver(store: ObjectStore, options: Partial<RegistryOptions> = {}): Registry {
  return localRegistry(store, {
    registryId: 'test',
    sparse: () => 'none',
    uploadLimits: () => ({ perOwner: 10, ttlMs: 24 * 3600_000 }),
    ...options,
  })
}

export const body = (bytes: Buffer, offset?: number) => ({
  open: () => Readable.from([bytes]),
  length: bytes.length,
  offset,
})
export const nothing = { open: () => Readable.from([]), length: 0 }

export async function pushBlob(registry: Registry, bytes: Buffer, name = app): Promise<Digest> {
  const blob = await registry.uploads.receive({ ...pusher, name }, digest(bytes), body(bytes), io)
  return blob.digest
}

export function pushManifest(
  registry: Registry,
  manifest: Content,
  reference: Reference = manifest.descriptor.digest,
  push: Partial<ManifestPush> & { name?: RepositoryName } = {},
) {
  const { name = app, ...rest } = push
  const { bytes, descriptor } = manifest
  const whole = { mediaType: descriptor.mediaType, bytes, tags: [], by: 'me', ...rest }
  return registry.manifests.write(name, reference, whole, io)
}

/** An image with all below it. */
export async function pushImage(
  registry: Registry,
  image: Image,
  reference?: Reference,
  name = app,
): Promise<void> {
  for (const child of image.children) await pushImage(registry, child, undefined, name)
  for (const blob of image.blobs) await pushBlob(registry, blob.bytes, name)
  await pushManifest(registry, image, reference, { name })
}

export async function readBlob(registry: Registry, wanted: Digest, name = app): Promise<Buffer> {
  const blob = await registry.blobs.find(name, wanted, io)
  const content = await blob.open(io)
  if (content.kind === 'bytes') return content.bytes
  if (content.kind === 'stream') return buffer(content.stream)
  const whole = await readStart(content.fd, content.size)
  content.close()
  return whole
}
