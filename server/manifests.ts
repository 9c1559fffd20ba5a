import { wordOf } from '../auth/access.ts'
import { RegistryError } from '../oci/errors.ts'
import { isDigest, type Reference } from '../oci/names.ts'
import type { StoredManifest, TagCondition } from '../storage/registry.ts'
import { empty } from './answer.ts'
import { rememberTags } from './audited.ts'
import { admitAgain } from './authorize.ts'
import { readBody } from './body.ts'
import type { Context, Services } from './context.ts'
import { namesEntity, parseEntityTags } from './entity-tags.ts'
import type { OperationOf } from './operations.ts'

/** A digest's manifest never changes; a tag's may with the next push. */
const manifestHeaders = ({ mediaType, digest }: StoredManifest, reference: Reference) => ({
  'Content-Type': mediaType,
  'Docker-Content-Digest': digest,
  ETag: `"${digest}"`,
  'Cache-Control': isDigest(reference) ? 'private, max-age=31536000, immutable' : 'no-cache',
})

export async function headManifest(
  { registry }: Services,
  ctx: Context,
  operation: OperationOf<'headManifest'>,
) {
  const manifest = await registry.manifests.read(operation.name, operation.reference, ctx.state.io)
  const headers = manifestHeaders(manifest, operation.reference)
  if (namesEntity(ctx.req.headers['if-none-match'], manifest.digest)) return empty(304, headers)
  return { ...empty(200, headers), length: manifest.size }
}

/**
 * A manifest is sent as it was pushed, whatever Accept says: to convert one is to change its digest, and to refuse one
 * that a client asked for by name helps nobody.
 */
export async function getManifest(
  { registry }: Services,
  ctx: Context,
  operation: OperationOf<'getManifest'>,
) {
  const manifest = await registry.manifests.read(operation.name, operation.reference, ctx.state.io)
  const headers = manifestHeaders(manifest, operation.reference)
  if (namesEntity(ctx.req.headers['if-none-match'], manifest.digest)) return empty(304, headers)
  return { status: 200, headers, body: manifest.bytes }
}

/** If-None-Match: * makes a tag only if it is new, If-Match moves it only from these digests. */
function conditionOf(ctx: Context): TagCondition | undefined {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = ctx.req.headers
  const wanted = parseEntityTags(ifMatch)
  if (wanted) return wanted.kind === 'any' ? { ifPresent: true } : { ifDigest: wanted.tags }
  const unwanted = parseEntityTags(ifNoneMatch)
  if (!unwanted) return undefined
  if (unwanted.kind === 'any') return { ifAbsent: true }
  throw new RegistryError('REQUEST_INVALID', { message: 'a push takes no If-None-Match but *' })
}

/** More tags than anybody needs in one push. */
const maxTags = 100

export async function putManifest(services: Services, ctx: Context, operation: OperationOf<'putManifest'>) {
  const { name, reference, tags } = operation
  const limit = services.manifestBytes()
  const tooLarge = () =>
    new RegistryError('MANIFEST_TOO_LARGE', {
      message: `manifest is larger than ${limit} bytes (limits.manifest)`,
    })
  if (tags.length > maxTags)
    throw new RegistryError('TAG_INVALID', {
      message: `a push takes at most ${maxTags} tags, not ${tags.length}`,
    })
  const condition = conditionOf(ctx)
  const bytes = await readBody(ctx.req, ctx.res, limit, services.pace, tooLarge)
  await admitAgain(services, ctx, operation)
  const mediaType = ctx.get('Content-Type') || undefined
  const author = { by: wordOf(ctx.state.caller.principal), told: rememberTags(ctx) }
  const push = { mediaType, bytes, tags, condition, ...author }
  const { digest, subject } = await services.registry.manifests.write(name, reference, push, ctx.state.io)
  return empty(201, {
    Location: `${services.url()}/v2/${name}/manifests/${digest}`,
    'Docker-Content-Digest': digest,
    ...(subject && { 'OCI-Subject': subject }),
    ...(tags.length > 0 && { 'OCI-Tag': tags.join(', ') }),
  })
}

export async function deleteManifest(
  { registry }: Services,
  ctx: Context,
  operation: OperationOf<'deleteManifest'>,
) {
  await registry.manifests.remove(
    operation.name,
    operation.reference,
    { by: wordOf(ctx.state.caller.principal), told: rememberTags(ctx) },
    ctx.state.io,
  )
  return empty(202)
}
