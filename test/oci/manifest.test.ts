import { expect, it } from 'vitest'
import { parseManifest } from '../../oci/manifest.ts'
import { digest, mediaTypes } from '../helpers/images.ts'
import { fault } from '../helpers/waiting.ts'

const { oci, docker } = mediaTypes
const descriptor = (word: string, mediaType = 'text/plain') => ({
  mediaType,
  digest: digest(Buffer.from(word)),
  size: word.length,
})
const config = descriptor('config', oci.config)
const layer = descriptor('layer', oci.layer)
const image = { schemaVersion: 2, mediaType: oci.manifest, config, layers: [layer] }
const index = { schemaVersion: 2, mediaType: oci.index, manifests: [descriptor('child', oci.manifest)] }

const parse = (value: unknown, contentType?: string) =>
  parseManifest(contentType, Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)))

it.for<[what: string, value: unknown, contentType: string | undefined, found: object]>([
  ['an image', image, oci.manifest, { kind: 'image', blobs: [config.digest, layer.digest], children: [] }],
  ['a type by the body', image, undefined, { mediaType: oci.manifest }],
  [
    'a type by the header',
    { ...image, mediaType: undefined },
    docker.manifest,
    { mediaType: docker.manifest },
  ],
  ['a type with parameters', image, `${oci.manifest}; charset=utf-8`, { mediaType: oci.manifest }],
  [
    'a type by the shape',
    { manifests: [] },
    undefined,
    { kind: 'index', mediaType: oci.index, children: [] },
  ],
  ['an index', index, oci.index, { kind: 'index', blobs: [], children: [index.manifests[0]?.digest] }],
  [
    'a layer twice',
    { ...image, layers: [layer, layer] },
    undefined,
    { blobs: [config.digest, layer.digest] },
  ],
  ['no layers', { ...image, layers: null }, undefined, { blobs: [config.digest] }],
  [
    'a foreign layer',
    { ...image, layers: [descriptor('x', 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip')] },
    undefined,
    { blobs: [config.digest] },
  ],
  [
    'a subject',
    { ...image, subject: descriptor('subject') },
    undefined,
    { subject: descriptor('subject').digest },
  ],
  [
    'an artifact type',
    { ...image, artifactType: 'application/x' },
    undefined,
    { artifactType: 'application/x' },
  ],
  ['an artifact type by its config', image, undefined, { artifactType: oci.config }],
  ['annotations', { ...index, annotations: { a: 'b' } }, undefined, { annotations: { a: 'b' } }],
  [
    'another type of JSON',
    { blobs: [layer] },
    'application/vnd.x.v1+json',
    { kind: 'image', blobs: [layer.digest] },
  ],
])('understands %s', ([, value, contentType, found]) => {
  expect(parse(value, contentType)).toMatchObject(found)
})

const text = JSON.stringify(image)
it.for<[what: string, value: unknown, contentType?: string]>([
  ['nothing', ''],
  ['no JSON', '{'],
  ['a list', '[]'],
  ['null', 'null'],
  ['a number', '5'],
  ['a key twice', `{"layers":[],${text.slice(1)}`],
  ['a key twice, once escaped', `{"l\\u0061yers":[],${text.slice(1)}`],
  ['a key in another case', { ...image, Layers: [] }],
  ['a key in another case only', { ...index, Subject: null }],
  ['deep nesting', `{"x":${'['.repeat(100)}${']'.repeat(100)}}`],
  ['a byte order mark', `\uFEFF${text}`],
  ['two types', image, docker.manifest],
  ['a type of no manifest', { ...image, mediaType: 'text/html' }],
  ['schema 1', { ...image, schemaVersion: 1 }],
  ['schema 1 by its type', { layers: [] }, 'application/vnd.docker.distribution.manifest.v1+prettyjws'],
  ['an image that is an index', { ...image, manifests: [] }],
  ['an image of the type of an index', { ...image, mediaType: oci.index }],
  ['an index of the type of an image', { ...index, mediaType: oci.manifest }],
  ['no config', { ...image, config: undefined }],
  ['a config without a digest', { ...image, config: { mediaType: 'a/b', size: 1 } }],
  ['a layer of negative size', { ...image, layers: [{ ...layer, size: -1 }] }],
  ['a layer of half a byte', { ...image, layers: [{ ...layer, size: 0.5 }] }],
  ['a layer without a type', { ...image, layers: [{ ...layer, mediaType: 1 }] }],
  ['layers that are no list', { ...image, layers: {} }],
  ['too many layers', { ...image, layers: Array.from({ length: 10_001 }, () => layer) }],
  ['a subject that is none', { ...image, subject: 'x' }],
  ['annotations that are no text', { ...image, annotations: { a: 1 } }],
])('refuses %s', ([, value, contentType]) => {
  const refused = () => parse(value, contentType)
  expect(refused).toThrow(expect.objectContaining(fault('MANIFEST_INVALID')))
})

it('refuses what is no UTF-8', () => {
  const broken = Buffer.concat([
    Buffer.from('{"annotations":{"a":"'),
    Buffer.from([0xff]),
    Buffer.from('"}}'),
  ])
  expect(() => parseManifest(undefined, broken)).toThrow(expect.objectContaining(fault('MANIFEST_INVALID')))
})
