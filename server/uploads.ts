import { wordOf } from '../auth/access.ts'
import { RegistryError } from '../oci/errors.ts'
import { type Algorithm, algorithmOf, type Digest, type RepositoryName } from '../oci/names.ts'
import { parseContentRange } from '../oci/ranges.ts'
import type { UploadBody, UploadSession } from '../storage/registry.ts'
import { type Answer, empty } from './answer.ts'
import { admitAgain } from './authorize.ts'
import { mountBlob } from './blobs.ts'
import { bodyLength, openBody } from './body.ts'
import type { Context, Services } from './context.ts'
import type { OperationOf } from './operations.ts'
import { canReceiveFile, receiveFile } from './receive-file.ts'

/** Chunks may be of any length: a folder appends what comes. */
const chunkMinLength = 1

const pusherOf = (ctx: Context, name: RepositoryName) => ({ name, owner: wordOf(ctx.state.caller.principal) })

/** The same, who may still do it when the bytes are there. */
const publisherOf = (
  services: Services,
  ctx: Context,
  operation: OperationOf<'receiveBlob' | 'finishUpload'>,
) => ({ ...pusherOf(ctx, operation.name), guard: () => admitAgain(services, ctx, operation) })

/** Range is inclusive at both ends, so an upload of nothing says 0-0 as one of a byte does (Pushing a blob in chunks). */
const sessionHeaders = ({ url }: Services, name: RepositoryName, { address, size }: UploadSession) => ({
  Location: `${url()}/v2/${name}/blobs/uploads/${address}`,
  Range: `0-${Math.max(0, size - 1)}`,
})

function created({ url }: Services, name: RepositoryName, digest: Digest): Answer {
  return empty(201, { Location: `${url()}/v2/${name}/blobs/${digest}`, 'Docker-Content-Digest': digest })
}

/** The request's body as an upload takes it. UPLOAD_INVALID where its headers contradict each other. */
function bodyOf({ pace, receiver: findReceiver }: Services, ctx: Context): UploadBody {
  const receiver = findReceiver()
  const range = parseContentRange(ctx.get('Content-Range') || undefined)
  const length = bodyLength(ctx.req)
  if (range === 'invalid')
    throw new RegistryError('UPLOAD_INVALID', { message: 'Content-Range is not of the form <first>-<last>' })
  if (range && length !== undefined && length !== range.end - range.start)
    throw new RegistryError('SIZE_INVALID', { message: 'Content-Range and Content-Length disagree' })
  return {
    // Opened by whoever reads it: a client that waits for leave to send is to hear of everything else first.
    open: () => (length === 0 ? ctx.req : openBody(ctx.req, ctx.res, pace)),
    // A client that counts its chunks sends more of them, and their hash cannot be gone on with from there.
    ...(!range &&
      receiver &&
      canReceiveFile(ctx.req, receiver) && {
        move: (fd, algorithm, io) => receiveFile(ctx.req, ctx.res, fd, { algorithm, pace }, receiver, io),
      }),
    length: length ?? (range && range.end - range.start),
    offset: range?.start,
  }
}

async function begin(
  services: Services,
  ctx: Context,
  name: RepositoryName,
  algorithm: Algorithm,
): Promise<Answer> {
  const session = await services.registry.uploads.start(pusherOf(ctx, name), algorithm, ctx.state.io)
  return empty(202, {
    ...sessionHeaders(services, name, session),
    'OCI-Chunk-Min-Length': String(chunkMinLength),
  })
}

export function startUpload(
  services: Services,
  ctx: Context,
  { name, algorithm }: OperationOf<'startUpload'>,
) {
  return begin(services, ctx, name, algorithm)
}

/** What cannot be mounted is uploaded (Mounting a blob from another repository). */
export async function mountOrStart(services: Services, ctx: Context, operation: OperationOf<'mountBlob'>) {
  const { name, digest } = operation
  if (await mountBlob(services, ctx, operation)) return created(services, name, digest)
  return begin(services, ctx, name, algorithmOf(digest))
}

export async function receiveBlob(services: Services, ctx: Context, operation: OperationOf<'receiveBlob'>) {
  const { name, digest } = operation
  await services.registry.uploads.receive(
    publisherOf(services, ctx, operation),
    digest,
    bodyOf(services, ctx),
    ctx.state.io,
  )
  return created(services, name, digest)
}

/** Answers an error about an upload that is still there with where it stands. */
async function standing<T>(
  services: Services,
  ctx: Context,
  name: RepositoryName,
  address: string,
  act: () => Promise<T>,
) {
  try {
    return await act()
  } catch (error) {
    if (!(error instanceof RegistryError) || error.status !== 416) throw error
    const session = await services.registry.uploads.find(pusherOf(ctx, name), address, ctx.state.io)
    throw new RegistryError(error.fault, { cause: error, headers: sessionHeaders(services, name, session) })
  }
}

export async function appendUpload(
  services: Services,
  ctx: Context,
  { name, address }: OperationOf<'appendUpload'>,
) {
  const session = await standing(services, ctx, name, address, () =>
    services.registry.uploads.append(pusherOf(ctx, name), address, bodyOf(services, ctx), ctx.state.io),
  )
  return empty(202, sessionHeaders(services, name, session))
}

export async function finishUpload(services: Services, ctx: Context, operation: OperationOf<'finishUpload'>) {
  const { name, address, digest } = operation
  await standing(services, ctx, name, address, () =>
    services.registry.uploads.finish(
      publisherOf(services, ctx, operation),
      address,
      digest,
      bodyOf(services, ctx),
      ctx.state.io,
    ),
  )
  return created(services, name, digest)
}

export async function uploadStatus(
  services: Services,
  ctx: Context,
  { name, address }: OperationOf<'uploadStatus'>,
) {
  const session = await services.registry.uploads.find(pusherOf(ctx, name), address, ctx.state.io)
  return empty(204, sessionHeaders(services, name, session))
}

export async function cancelUpload(
  services: Services,
  ctx: Context,
  { name, address }: OperationOf<'cancelUpload'>,
) {
  await services.registry.uploads.cancel(pusherOf(ctx, name), address, ctx.state.io)
  return empty(204)
}
