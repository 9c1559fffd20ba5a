import { createHash, randomFillSync } from 'node:crypto'
import { mkdir, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Io } from '../oci/io.ts'
import { tagName } from './client-tags.ts'
import type { Sizes } from './sizes.ts'

/** What the servers are filled with before anything is timed. The same bytes for all of them. */
export interface Content {
  readonly config: Blob
  readonly small: Blob
  readonly large?: Blob
  readonly huge?: Blob
  readonly manifest: Blob & { readonly text: string; readonly mediaType: string }
  readonly repositories: readonly Repository[]
}

export interface Blob {
  readonly file: string
  readonly digest: string
  readonly bytes: number
}

export interface Repository {
  readonly name: string
  readonly tags: readonly string[]
}

/** What a measurement may need beyond one small image. */
export type Need = 'large' | 'huge' | 'tags' | 'catalog'

export const imageRepository = 'bench/image'
export const tagsRepository = 'bench/tags'
export const manyTagsRepository = 'bench/many-tags'
export const imageTag = 'latest'
export const smallBytes = 4096

const layers = 12

export async function writeContent(
  folder: string,
  needs: ReadonlySet<Need>,
  sizes: Sizes,
  io: Io,
): Promise<Content> {
  await mkdir(folder, { recursive: true })
  const write = (name: string, bytes: number) => writeRandom(join(folder, name), bytes, io)
  const config = await writeText(join(folder, 'config'), '{}')
  const small = await write('small', smallBytes)
  const large = needs.has('large') ? await write('large', sizes.blobBytes) : undefined
  const huge = needs.has('huge') ? await write('huge', sizes.hugeBytes) : undefined
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const text = manifestText(mediaType, config, small)
  const manifest = { ...(await writeText(join(folder, 'manifest'), text)), text, mediaType }
  const repositories = [{ name: imageRepository, tags: [imageTag] }]
  if (needs.has('tags')) repositories.push({ name: tagsRepository, tags: tagNames(sizes.tags) })
  if (needs.has('catalog')) {
    for (const index of Array(sizes.repositories).keys()) {
      repositories.push({ name: catalogName(index), tags: [imageTag] })
    }
  }
  return { config, small, ...(large && { large }), ...(huge && { huge }), manifest, repositories }
}

export function catalogName(index: number): string {
  return `catalog/r${String(index).padStart(6, '0')}`
}

function tagNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => tagName(index))
}

/** Twelve layers: about two kilobytes, the size of a usual image's manifest. */
function manifestText(mediaType: string, config: Blob, layer: Blob): string {
  const descriptor = (type: string, { digest, bytes }: Blob) => ({
    mediaType: `application/vnd.oci.image.${type}`,
    digest,
    size: bytes,
  })
  return JSON.stringify({
    schemaVersion: 2,
    mediaType,
    config: descriptor('config.v1+json', config),
    layers: Array.from({ length: layers }, () => descriptor('layer.v1.tar+gzip', layer)),
  })
}

async function writeText(file: string, text: string): Promise<Blob> {
  await writeFile(file, text)
  return { file, digest: digestOf(createHash('sha256').update(text)), bytes: Buffer.byteLength(text) }
}

async function writeRandom(file: string, bytes: number, { signal }: Io): Promise<Blob> {
  const hash = createHash('sha256')
  const piece = Buffer.alloc(Math.min(bytes, 1 << 20))
  await using handle = await open(file, 'w')
  for (let left = bytes; left > 0; left -= piece.length) {
    signal.throwIfAborted()
    const part = randomFillSync(piece).subarray(0, Math.min(left, piece.length))
    hash.update(part)
    await handle.write(part)
  }
  await handle.sync()
  return { file, digest: digestOf(hash), bytes }
}

function digestOf(hash: ReturnType<typeof createHash>): string {
  return `sha256:${hash.digest('hex')}`
}
