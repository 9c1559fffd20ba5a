/** Images described as data. The same description always makes the same bytes. */
import { createCipheriv, createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { type Algorithm, type Digest, digestOf } from '../../oci/names.ts'
import { tar } from './tar.ts'

export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
  readonly annotations?: Readonly<Record<string, string>>
  readonly platform?: { readonly os: string; readonly architecture: string }
}

export interface Content {
  readonly descriptor: Descriptor
  readonly bytes: Buffer
}

/** A manifest and all that it needs: blobs, and for an index the images in it. */
export interface Image extends Content {
  readonly blobs: readonly Content[]
  readonly children: readonly Image[]
}

export type Dialect = keyof typeof mediaTypes

export const mediaTypes = {
  oci: {
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    index: 'application/vnd.oci.image.index.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
    layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  },
  docker: {
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    index: 'application/vnd.docker.distribution.manifest.list.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
    layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  },
} as const

const emptyConfig = 'application/vnd.oci.empty.v1+json'

export interface ImageOptions {
  /** Two images share a layer when they share seed and size. */
  readonly seed: string
  /** Bytes of random content in each layer. */
  readonly layers?: readonly number[]
  readonly architecture?: string
  readonly dialect?: Dialect
  /** Bytes of labels that make the configuration large. */
  readonly labels?: number
  readonly algorithm?: Algorithm
}

export function image(options: ImageOptions): Image {
  const {
    seed,
    layers = [2_000, 3_000_000, 40_000],
    architecture = 'amd64',
    dialect = 'oci',
    algorithm,
  } = options
  const types = mediaTypes[dialect]
  const archives = layers.map((size, at) => tar({ [`layer-${at}`]: randomBytes(`${seed} ${at}`, size) }))
  const config = jsonContent(
    types.config,
    {
      architecture,
      os: 'linux',
      config: {
        Cmd: ['/layer-0'],
        Labels: { seed, ...(options.labels ? { padding: 'x'.repeat(options.labels) } : {}) },
      },
      rootfs: { type: 'layers', diff_ids: archives.map(bytes => digest(bytes)) },
      history: archives.map(() => ({ created_by: 'test' })),
    },
    algorithm,
  )
  const blobs = archives.map(bytes => content(types.layer, gzipSync(bytes, { level: 1 }), algorithm))
  const manifest = {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: config.descriptor,
    layers: blobs.map(blob => blob.descriptor),
  }
  return { ...jsonContent(types.manifest, manifest, algorithm), blobs: [config, ...blobs], children: [] }
}

export interface IndexOptions extends Omit<ImageOptions, 'architecture'> {
  readonly annotations?: Readonly<Record<string, string>>
}

/** One index of an amd64 and an arm64 image that share their last layer. */
export function multiArch({ annotations, ...options }: IndexOptions): Image {
  const types = mediaTypes[options.dialect ?? 'oci']
  const children = ['amd64', 'arm64'].map(architecture => image({ ...options, architecture }))
  const index = {
    schemaVersion: 2,
    mediaType: types.index,
    manifests: children.map((child, at) => ({
      ...child.descriptor,
      platform: { os: 'linux', architecture: at === 0 ? 'amd64' : 'arm64' },
    })),
    ...(annotations ? { annotations } : {}),
  }
  return { ...jsonContent(types.index, index, options.algorithm), blobs: [], children }
}

/** An index of nothing, which can be pushed without anything else. */
export const emptyIndex = (text: string): Content =>
  jsonContent(mediaTypes.oci.index, {
    schemaVersion: 2,
    mediaType: mediaTypes.oci.index,
    manifests: [],
    annotations: { text },
  })

/** An artifact of one small file that says something about `subject`. */
export function artifact(subject: Content, artifactType: string, text: string): Image {
  const config = content(emptyConfig, Buffer.from('{}'))
  const file = content('text/plain', Buffer.from(text))
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.oci.manifest,
    artifactType,
    config: config.descriptor,
    layers: [file.descriptor],
    subject: subject.descriptor,
  }
  return { ...jsonContent(mediaTypes.oci.manifest, manifest), blobs: [config, file], children: [] }
}

/** Bytes that do not compress: a key stream, which the seed decides. */
export function randomBytes(seed: string, size: number): Buffer {
  const key = createHash('sha256').update(seed).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size))
}

export function digest(bytes: string | Buffer, algorithm: Algorithm = 'sha256'): Digest {
  return digestOf(algorithm, createHash(algorithm).update(bytes).digest('hex'))
}

/** Digests of the manifest, of all manifests below it and of all their blobs, sorted. */
export function digestsOf(image: Image): readonly Digest[] {
  const all = [image, ...image.blobs].map(part => part.descriptor.digest)
  return [...new Set([...all, ...image.children.flatMap(digestsOf)])].sort()
}

function jsonContent(mediaType: string, value: unknown, algorithm?: Algorithm): Content {
  return content(mediaType, Buffer.from(JSON.stringify(value)), algorithm)
}

function content(mediaType: string, bytes: Buffer, algorithm?: Algorithm): Content {
  return { descriptor: { mediaType, digest: digest(bytes, algorithm), size: bytes.length }, bytes }
}
