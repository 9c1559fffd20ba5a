import { RegistryError } from './errors.ts'
import { parseStrictObject } from './json.ts'
import { isDockerSchema1, isJsonType, isNondistributable, kindOf, ociImage, ociIndex } from './media-types.ts'
import { type Digest, parseDigest } from './names.ts'

/** OCI image specification, Content Descriptors. */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

/** What a registry needs to know of a manifest. The bytes are kept apart and never changed. */
export interface Manifest {
  readonly kind: 'image' | 'index'
  readonly mediaType: string
  /** Blobs that must be in the repository: config and layers, without those that others distribute. */
  readonly blobs: readonly Digest[]
  /** Manifests that an index lists. */
  readonly children: readonly Digest[]
  readonly subject: Digest | undefined
  /** As a referrer is listed (distribution specification, Listing Referrers): an image's falls back to its config. */
  readonly artifactType: string | undefined
  readonly annotations: Readonly<Record<string, string>> | undefined
}

const maxDescriptors = 10_000

/** Some readers take a field in any case, others only as it is specified: two images in one manifest. */
const fields = new Set([
  'schemaVersion',
  'mediaType',
  'artifactType',
  'config',
  'layers',
  'manifests',
  'subject',
  'annotations',
])
const foldedFields = new Set([...fields].map(field => field.toLowerCase()))

const invalid = (message: string, cause?: unknown) =>
  new RegistryError('MANIFEST_INVALID', { message, cause })

/**
 * Parses a manifest pushed with this Content-Type, if any. Throws MANIFEST_INVALID where a field that the registry
 * relies on is wrong, where body and Content-Type disagree, and where two readers could see two different things.
 */
export function parseManifest(contentType: string | undefined, bytes: Buffer): Manifest {
  const body = parseStrictObject(bytes)
  for (const key of Object.keys(body))
    if (!fields.has(key) && foldedFields.has(key.toLowerCase()))
      throw invalid(`manifest field ${JSON.stringify(key)} is not spelled as the specification spells it`)
  const mediaType = mediaTypeOf(contentType, body)
  const kind = kindIn(mediaType, body)
  const blobs: Digest[] = []
  const children: Digest[] = []
  let config: ParsedDescriptor | undefined
  if (kind === 'image') {
    // A type of somebody else's may do without a config, and call its layers blobs as OCI's artifact manifest did.
    const known = kindOf(mediaType) !== undefined
    config = known || body.config !== undefined ? parseDescriptor(body.config, 'config') : undefined
    const layers = [...parseList(body.layers, 'layers'), ...(known ? [] : parseList(body.blobs, 'blobs'))]
    for (const descriptor of config ? [config, ...layers] : layers)
      if (!descriptor.elsewhere) blobs.push(descriptor.digest)
  } else {
    for (const { digest } of parseList(body.manifests, 'manifests')) children.push(digest)
  }
  const subject =
    body.subject === undefined || body.subject === null ? undefined : parseDescriptor(body.subject, 'subject')
  return {
    kind,
    mediaType,
    blobs: [...new Set(blobs)],
    children: [...new Set(children)],
    subject: subject?.digest,
    artifactType: optionalText(body.artifactType, 'artifactType') || config?.mediaType,
    annotations: parseAnnotations(body.annotations),
  }
}

function mediaTypeOf(contentType: string | undefined, body: Record<string, unknown>): string {
  const declared = optionalText(body.mediaType, 'mediaType')
  const sent = contentType?.split(';', 1)[0]?.trim().toLowerCase()
  if (body.schemaVersion === 1 || isDockerSchema1(sent ?? ''))
    throw invalid('docker manifests of schema 1 are not accepted: push with schema 2 or OCI')
  if (declared !== undefined && sent && declared.toLowerCase() !== sent)
    throw invalid(
      `manifest says it is ${JSON.stringify(declared)}, its Content-Type says ${JSON.stringify(sent)}`,
    )
  const mediaType = declared ?? sent ?? ('manifests' in body ? ociIndex : ociImage)
  if (kindOf(mediaType) === undefined && !isJsonType(mediaType))
    throw invalid(`media type ${JSON.stringify(mediaType.slice(0, 120))} is not that of a manifest`)
  if (kindOf(mediaType) !== undefined && body.schemaVersion !== undefined && body.schemaVersion !== 2)
    throw invalid(`manifest of type ${mediaType} has a schemaVersion that is not 2`)
  return mediaType
}

function kindIn(mediaType: string, body: Record<string, unknown>): Manifest['kind'] {
  const shape = 'manifests' in body ? 'index' : 'image'
  if (shape === 'index' && ('layers' in body || 'config' in body))
    throw invalid('manifest is both an image and an index: it has manifests beside config or layers')
  const kind = kindOf(mediaType) ?? shape
  if (kind !== shape && (shape === 'index' || 'config' in body || 'layers' in body))
    throw invalid(`manifest of type ${mediaType} has the fields of an ${shape}`)
  return kind
}

interface ParsedDescriptor {
  readonly digest: Digest
  readonly mediaType: string
  /** Somebody else distributes it, at its `urls`. */
  readonly elsewhere: boolean
}

function parseList(value: unknown, field: string): ParsedDescriptor[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw invalid(`${field} is not a list`)
  if (value.length > maxDescriptors) throw invalid(`${field} has more than ${maxDescriptors} entries`)
  return value.map((entry, at) => parseDescriptor(entry, `${field}[${at}]`))
}

function parseDescriptor(value: unknown, field: string): ParsedDescriptor {
  if (typeof value !== 'object' || value === null) throw invalid(`${field} is not a descriptor`)
  const { mediaType, digest, size } = value as Record<string, unknown>
  if (typeof mediaType !== 'string') throw invalid(`${field}.mediaType is not a text`)
  if (typeof digest !== 'string') throw invalid(`${field}.digest is not a text`)
  if (!Number.isSafeInteger(size) || Number(size) < 0)
    throw invalid(`${field}.size is not a whole number of bytes`)
  try {
    return { mediaType, digest: parseDigest(digest), elsewhere: isNondistributable(mediaType) }
  } catch (cause) {
    throw invalid(`${field}.digest: ${cause instanceof Error ? cause.message : ''}`, cause)
  }
}

function optionalText(value: unknown, field: string): string | undefined {
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value !== 'string') throw invalid(`${field} is not a text`)
  return value
}

function parseAnnotations(value: unknown): Readonly<Record<string, string>> | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'object' || Array.isArray(value)) throw invalid('annotations is not an object')
  for (const [key, text] of Object.entries(value))
    if (typeof text !== 'string')
      throw invalid(`annotation ${JSON.stringify(key.slice(0, 80))} is not a text`)
  return value as Record<string, string>
}
