import { isFault, RegistryError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/names.ts'
import { type ByteRange, parseRange } from '../oci/ranges.ts'
import type { FoundBlob } from '../storage/registry.ts'
import { type Answer, empty } from './answer.ts'
import { tokenServerOf } from './authorize.ts'
import { challenged, mountDemand } from './challenge.ts'
import type { Context, Services } from './context.ts'
import { namesEntity } from './entity-tags.ts'
import type { OperationOf } from './operations.ts'
import { isSameHost } from './redirection.ts'
import { repositoriesBy } from './visible-repositories.ts'

/** A blob never changes. Without the name of its type no browser shows it. */
const blobHeaders = (digest: string) => ({
  'Content-Type': 'application/octet-stream',
  'Content-Disposition': 'attachment',
  'Docker-Content-Digest': digest,
  ETag: `"${digest}"`,
  'Accept-Ranges': 'bytes',
  'Cache-Control': 'private, max-age=31536000, immutable',
})

export async function headBlob(
  { registry }: Services,
  ctx: Context,
  { name, digest }: OperationOf<'headBlob'>,
) {
  // Only who may push relies on the answer to leave a blob out of a push.
  const { principal, policy } = ctx.state.caller
  const relies = policy.permits(principal, 'push', name)
  const { size } = await registry.blobs[relies ? 'stat' : 'find'](name, digest, ctx.state.io)
  if (namesEntity(ctx.req.headers['if-none-match'], digest)) return empty(304, blobHeaders(digest))
  return { ...empty(200, blobHeaders(digest)), length: size }
}

/**
 * What sends a client to the store. The address is as good as the blob, and soon none: it is to be kept nowhere, and told
 * to nobody.
 */
const elsewhere = (location: string, digest: string) =>
  empty(307, {
    Location: location,
    'Docker-Content-Digest': digest,
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'no-referrer',
  })

/** Where the store has a blob for a client that can fetch it there with the very headers that it sent us. */
async function locationFor(
  { redirects }: Services,
  { req, state }: Context,
  blob: FoundBlob,
): Promise<string | undefined> {
  const { authorization, host, ...asks } = req.headers
  // The store knows other entity tags than ours.
  const namesOurs = asks['if-range'] !== undefined || asks['if-match'] !== undefined
  if (namesOurs || !redirects(state.client)) return undefined
  const location = await blob.locate(state.io)
  if (location === undefined) return undefined
  return authorization !== undefined && isSameHost(host, location) ? undefined : location
}

export async function getBlob(
  services: Services,
  ctx: Context,
  { name, digest }: OperationOf<'getBlob'>,
): Promise<Answer> {
  const { io } = ctx.state
  const { headers: asks } = ctx.req
  const blob = await services.registry.blobs.find(name, digest, io)
  const headers = blobHeaders(digest)
  if (namesEntity(asks['if-none-match'], digest)) return empty(304, headers)
  const range = isCurrentFor(ctx.get('If-Range'), digest) ? parseRange(asks.range, blob.size) : undefined
  if (range === 'unsatisfiable')
    throw new RegistryError('RANGE_UNSATISFIABLE', { headers: { 'Content-Range': `bytes */${blob.size}` } })
  const location = await locationFor(services, ctx, blob)
  if (location !== undefined) return elsewhere(location, digest)
  const span = range ?? { start: 0, end: blob.size }
  const content = await blob.open({ ...io, ...(range && { range }) })
  const body = content.kind === 'bytes' ? partOf(content.bytes, span) : { content, span }
  if (!range) return { status: 200, headers, body }
  const contentRange = `bytes ${span.start}-${span.end - 1}/${blob.size}`
  return { status: 206, headers: { ...headers, 'Content-Range': contentRange }, body }
}

/** A range of something else than the client has is worth nothing to it (RFC 9110, 13.1.5). */
const isCurrentFor = (ifRange: string, digest: string) => ifRange === '' || ifRange === `"${digest}"`

/** Bytes may come whole or be the part already. */
const partOf = (bytes: Buffer, { start, end }: ByteRange) =>
  bytes.length === end - start ? bytes : bytes.subarray(start, end)

export async function deleteBlob(
  { registry }: Services,
  ctx: Context,
  { name, digest }: OperationOf<'deleteBlob'>,
) {
  await registry.blobs.remove(name, digest, ctx.state.io)
  return empty(202, { 'Docker-Content-Digest': digest })
}

/** The repositories looked at for a mount that does not say where from. */
const mountCandidates = 50

/**
 * Repositories that the caller may pull and a blob could be in. Who may not pull them all is shown by nothing, the time
 * that it takes included, whether one that is hidden has it: so what may be pulled is found first, and asked then.
 */
async function* mountSources(
  services: Services,
  ctx: Context,
  { digest, from }: OperationOf<'mountBlob'>,
): AsyncGenerator<RepositoryName> {
  const { io, caller } = ctx.state
  const { principal, holder } = caller
  if (from !== undefined) {
    if (holder.permits(principal, 'pull', from)) yield from
  } else if (holder.permitsEverywhere(principal, 'pull'))
    yield* await services.registry.blobs.holders(digest, { ...io, limit: mountCandidates })
  else {
    let count = 0
    for await (const name of repositoriesBy(holder, services, ctx)) {
      if (count++ === mountCandidates) return
      yield name
    }
  }
}

/**
 * Whether a blob could be had from another repository. What the caller may not see is as if it were not there: the
 * answer is an upload, whatever the reason (auth-security 1.10).
 */
export async function mountBlob(
  services: Services,
  ctx: Context,
  operation: OperationOf<'mountBlob'>,
): Promise<boolean> {
  const { registry } = services
  const { name, digest, from } = operation
  const { io, caller } = ctx.state
  const { principal, policy, holder } = caller
  const mayPull = from !== undefined && holder.permits(principal, 'pull', from)
  if (mayPull && !policy.permits(principal, 'pull', from))
    throw challenged(tokenServerOf(services, ctx), mountDemand(name, from), {
      message: `access to repository ${from} is not granted`,
      reason: 'insufficient_scope',
    })
  for await (const source of mountSources(services, ctx, operation)) {
    try {
      if (await registry.blobs.mount(source, name, digest, io)) return true
    } catch (error) {
      if (!isFault(error, 'NAME_UNKNOWN')) throw error
    }
  }
  return false
}
