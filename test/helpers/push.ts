/** Images to and from a registry by plain requests: what the clients are compared with. */
import { algorithmOf, type Digest, parseDigest } from '../../oci/names.ts'
import { digest, type Image, mediaTypes } from './images.ts'

const accept = Object.values(mediaTypes).flatMap(types => [types.manifest, types.index])

/** A repository of a registry, such as `http://127.0.0.1:5000` and `team/app`. */
export interface Repository {
  readonly address: string
  readonly name: string
}

/** Pushes all of an image; the tag names the top of it, which can be had by digest without one. */
export async function pushImage(repository: Repository, image: Image, tag?: string): Promise<void> {
  for (const child of image.children) await pushImage(repository, child)
  for (const blob of image.blobs) await pushBlob(repository, blob.bytes, blob.descriptor.digest)
  const { mediaType, digest } = image.descriptor
  await request(repository, `manifests/${tag ?? digest}`, {
    method: 'PUT',
    headers: { 'Content-Type': mediaType },
    body: new Uint8Array(image.bytes),
  })
}

async function pushBlob(repository: Repository, bytes: Buffer, digest: Digest): Promise<void> {
  const started = await request(repository, 'blobs/uploads/', { method: 'POST' })
  const upload = new URL(started.headers.get('location') ?? '', started.url)
  upload.searchParams.set('digest', digest)
  await checked(upload, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/octet-stream' },
    body: new Uint8Array(bytes),
  })
}

/** Reads a manifest and everything below it and checks every digest; returns them sorted, the top one apart. */
export async function pullDigests(repository: Repository, reference: string): Promise<PulledImage> {
  const answer = await request(repository, `manifests/${reference}`, {
    headers: { Accept: accept.join(', ') },
  })
  const bytes = Buffer.from(await answer.arrayBuffer())
  const top = reference.includes(':') ? parseDigest(reference) : digest(bytes)
  if (digest(bytes, algorithmOf(top)) !== top) throw new Error(`manifest ${top} holds other bytes`)
  const manifest = JSON.parse(bytes.toString()) as ManifestShape
  const all = new Set<Digest>([top])
  for (const child of manifest.manifests ?? []) {
    const below = await pullDigests(repository, child.digest)
    for (const each of below.all) all.add(each)
  }
  for (const blob of [manifest.config, ...(manifest.layers ?? [])]) {
    if (!blob) continue
    const body = await request(repository, `blobs/${blob.digest}`)
    const found = digest(Buffer.from(await body.arrayBuffer()), algorithmOf(blob.digest))
    if (found !== blob.digest) throw new Error(`blob ${blob.digest} holds other bytes`)
    all.add(found)
  }
  return { top, all: [...all].sort() }
}

export interface PulledImage {
  readonly top: Digest
  readonly all: readonly Digest[]
}

/** The status of a HEAD for a manifest: whether it is there. */
export async function manifestStatus(repository: Repository, reference: string): Promise<number> {
  const url = new URL(`/v2/${repository.name}/manifests/${reference}`, repository.address)
  const answer = await fetch(url, { method: 'HEAD', headers: { Accept: accept.join(', ') } })
  return answer.status
}

export async function tagsOf(repository: Repository): Promise<readonly string[]> {
  const answer = await request(repository, 'tags/list')
  const { tags } = (await answer.json()) as { tags: string[] | null }
  return tags ?? []
}

/** What a manifest names, in either dialect. */
interface ManifestShape {
  readonly config?: { readonly digest: Digest }
  readonly layers?: readonly { readonly digest: Digest }[]
  readonly manifests?: readonly { readonly digest: Digest }[]
}

function request(repository: Repository, path: string, init?: RequestInit): Promise<Response> {
  return checked(new URL(`/v2/${repository.name}/${path}`, repository.address), init)
}

async function checked(url: URL, init: RequestInit = {}): Promise<Response> {
  const answer = await fetch(url, init)
  if (answer.ok) return answer
  throw new Error(`${init.method ?? 'GET'} ${url.pathname} answered ${answer.status}: ${await answer.text()}`)
}
