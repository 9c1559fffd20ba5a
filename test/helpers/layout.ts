/** OCI image layouts: folders that clients copy from and to. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { algorithmOf, type Digest, digestOf, hexOf } from '../../oci/names.ts'
import { type Descriptor, digest, type Image } from './images.ts'

const tagAnnotation = 'org.opencontainers.image.ref.name'

export async function writeLayout(folder: string, image: Image, tag: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  const manifests = [{ ...image.descriptor, annotations: { [tagAnnotation]: tag } }]
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }))
  await writeImage(folder, image)
}

async function writeImage(folder: string, image: Image): Promise<void> {
  for (const { descriptor, bytes } of [image, ...image.blobs]) {
    const home = join(folder, 'blobs', algorithmOf(descriptor.digest))
    await mkdir(home, { recursive: true })
    await writeFile(join(home, hexOf(descriptor.digest)), bytes)
  }
  for (const child of image.children) await writeImage(folder, child)
}

/** What a client left in a layout, after every blob was found to hold what its name says. */
export interface LayoutContents {
  readonly manifests: readonly Descriptor[]
  /** Digests of all blobs, manifests included, sorted. */
  readonly digests: readonly Digest[]
}

export async function readLayout(folder: string): Promise<LayoutContents> {
  const digests: Digest[] = []
  for (const algorithm of ['sha256', 'sha512'] as const) {
    for (const hex of await readdir(join(folder, 'blobs', algorithm)).catch(() => [])) {
      const named = digestOf(algorithm, hex)
      const found = digest(await readFile(join(folder, 'blobs', algorithm, hex)), algorithm)
      if (found !== named) throw new Error(`the layout's ${named} holds ${found}`)
      digests.push(named)
    }
  }
  const index = JSON.parse(await readFile(join(folder, 'index.json'), 'utf8')) as { manifests: Descriptor[] }
  return { manifests: index.manifests, digests: digests.sort() }
}
