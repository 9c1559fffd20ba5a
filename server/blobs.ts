import { isFault, RegistryError } from '../oci/errors.ts'
import { parseRange, type Span } from '../oci/ranges.ts'
import type { OpenContent } from '../storage/object-store.ts'
import type { Context, Services } from './context.ts'
import type { OperationOf } from './operations.ts'
import { empty, namesEntity } from './respond.ts'
import { sendFile } from './send-file.ts'

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
  { registry, policy }: Services,
  ctx: Context,
  { name, digest }: OperationOf<'headBlob'>,
) {
  // Only who may push relies on the answer to leave a blob out of a push.
  const confirm = policy.permits(ctx.state.principal, 'push', name)
  const { size } = await registry.blobs.stat(name, digest, { ...ctx.state.io, confirm })
  empty(ctx, 200, blobHeaders(digest))
  ctx.length = size
}

export async function getBlob(services: Services, ctx: Context, { name, digest }: OperationOf<'getBlob'>) {
  const { io } = ctx.state
  const { blobs } = services.registry
  const blob = await blobs.stat(name, digest, { signal: io.signal, confirm: false })
  if (namesEntity(ctx.get('If-None-Match'), digest)) return empty(ctx, 304, blobHeaders(digest))
  const asked = isCurrentFor(ctx.get('If-Range'), digest)
    ? parseRange(ctx.get('Range') || undefined, blob.size)
    : undefined
  if (asked === 'unsatisfiable')
    throw new RegistryError('RANGE_UNSATISFIABLE', { headers: { 'Content-Range': `bytes */${blob.size}` } })
  const span = asked ?? { start: 0, end: blob.size }
  const content = await blobs.open(name, blob, { ...io, ...(asked && { range: asked }) })
  ctx.status = asked ? 206 : 200
  ctx.set(blobHeaders(digest))
  if (asked) ctx.set('Content-Range', `bytes ${span.start}-${span.end - 1}/${blob.size}`)
  await send(services, ctx, content, span)
}

/** A range of something else than the client has is worth nothing to it (RFC 9110, 13.1.5). */
const isCurrentFor = (ifRange: string, digest: string) => ifRange === '' || ifRange === `"${digest}"`

async function send({ sender }: Services, ctx: Context, content: OpenContent, span: Span): Promise<void> {
  const length = span.end - span.start
  switch (content.kind) {
    case 'bytes':
      ctx.body =
        content.bytes.length === length ? content.bytes : content.bytes.subarray(span.start, span.end)
      return
    case 'stream':
      ctx.body = content.stream
      ctx.length = length
      return
    case 'file':
      ctx.respond = false
      ctx.res.statusCode = ctx.status
      ctx.res.setHeader('Content-Length', length)
      try {
        await sendFile(ctx.req, ctx.res, content, span, sender, ctx.state.io)
      } finally {
        content.close()
      }
  }
}

export async function deleteBlob(
  { registry }: Services,
  ctx: Context,
  { name, digest }: OperationOf<'deleteBlob'>,
) {
  await registry.blobs.remove(name, digest, ctx.state.io)
  empty(ctx, 202, { 'Docker-Content-Digest': digest })
}

/** The repositories looked at for a mount that does not say where from. */
const mountCandidates = 50

export async function mountBlob(
  services: Services,
  ctx: Context,
  operation: OperationOf<'mountBlob'>,
): Promise<boolean> {
  const { registry, policy } = services
  const { name, digest, from } = operation
  const { io, principal } = ctx.state
  const candidates =
    from === undefined
      ? await registry.blobs.holders(digest, { ...io, signal: io.signal, limit: mountCandidates })
      : [from]
  for (const source of candidates) {
    if (!policy.permits(principal, 'pull', source)) continue
    try {
      if (await registry.blobs.mount(source, name, digest, io)) return true
    } catch (error) {
      if (!isFault(error, 'NAME_UNKNOWN')) throw error
    }
  }
  return false
}
