/** A bucket by the AWS SDK, which no other file knows. */
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { RegistryError } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import type { Bucket, MultipartId } from './bucket.ts'
import type { Condition, MutationOptions, StoredRecord } from './object-store.ts'
import { answered, attemptsOf, cutOff, isBroken, kindOf, unlessMissing } from './s3-faults.ts'

export interface S3Settings {
  readonly bucket: string
  /** In front of every key, as `team/registry`. */
  readonly prefix?: string | undefined
  /** Of a store that is not AWS. */
  readonly endpoint?: string | undefined
  readonly region: string
  readonly pathStyle: boolean
  /** Otherwise those that the environment, a profile or the machine has, as the SDK finds them. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined
  readonly fullChecksum?: boolean
}

/** Attempts of one request, the first included; between them the SDK waits longer and longer, 20 s at the most. */
const maxAttempts = 5
const connectMs = 5_000
/** How long a request or its answer may stand still. */
const silenceMs = 30_000
const sockets = 256
const pageLength = 1000
/** Bodies that broke off are asked for again so often. */
const maxReads = 3

export function s3Bucket(settings: S3Settings): Bucket {
  const { bucket: Bucket, endpoint, region, pathStyle, credentials, fullChecksum = false } = settings
  const prefix = settings.prefix ? `${settings.prefix}/` : ''
  const agents = { keepAlive: true, maxSockets: sockets }
  const client = new S3Client({
    region,
    forcePathStyle: pathStyle,
    ...(endpoint !== undefined && { endpoint }),
    ...(credentials && { credentials }),
    maxAttempts,
    // What we have is compared in ways of our own; checksums of the SDK's choice break other stores than AWS.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      httpAgent: new HttpAgent(agents),
      httpsAgent: new HttpsAgent(agents),
      connectionTimeout: connectMs,
      requestTimeout: silenceMs,
      throwOnRequestTimeout: true,
    },
  })
  client.middlewareStack.add(
    next => async args => {
      // The bytes are compared by their CRC-32, and hashing them once more to sign them is the dearest part of a request.
      const { headers } = args.request as { headers: Record<string, string> }
      headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD'
      return next(args)
    },
    { step: 'build', name: 'unsignedPayload' },
  )
  client.middlewareStack.add(
    next => async args => {
      const result = await next(args)
      const { headers } = result.response as { headers: Record<string, string> }
      // Not Last-Modified: what is written has none in its answer.
      Object.assign((result.output as { $metadata: object }).$metadata, { date: headers.date })
      return result
    },
    { step: 'deserialize', name: 'date', priority: 'high' },
  )

  const at = (key: string) => ({ Bucket, Key: prefix + key })
  const atPart = ({ key, uploadId }: MultipartId) => ({ ...at(key), UploadId: uploadId })
  const send: S3Client['send'] = client.send.bind(client)

  async function readOnce(key: string, io: Io): Promise<StoredRecord | undefined> {
    const found = await send(new GetObjectCommand(at(key)), { abortSignal: io.signal }).catch(unlessMissing)
    if (!found?.Body) return undefined
    const bytes = await buffer(found.Body as Readable)
    if (bytes.length !== found.ContentLength) throw cutOff()
    return { bytes, etag: found.ETag ?? '', modifiedMs: found.LastModified?.getTime() ?? 0 }
  }

  const self: Bucket = {
    read: (key, io) =>
      answered(io, async () => {
        for (let time = 1; ; time++)
          try {
            return await readOnce(key, io)
          } catch (error) {
            if (!isBroken(error) || time === maxReads) throw error
          }
      }),

    get: (key, { range, signal }) =>
      answered({ signal }, async () => {
        const Range = range && { Range: `bytes=${range.start}-${range.end - 1}` }
        const found = await send(new GetObjectCommand({ ...at(key), ...Range }), {
          abortSignal: signal,
        }).catch(unlessMissing)
        if (!found?.Body) return undefined
        const whole = /\/(\d+)$/.exec(found.ContentRange ?? '')?.[1]
        return {
          size: whole === undefined ? (found.ContentLength ?? 0) : Number(whole),
          stream: found.Body as Readable,
        }
      }),

    head: (key, io) =>
      answered(io, async () => {
        const found = await send(new HeadObjectCommand(at(key)), { abortSignal: io.signal }).catch(
          unlessMissing,
        )
        return found && (found.ContentLength ?? 0)
      }),

    put: (key, bytes, options) =>
      answered(options, async () => {
        const { condition, crc32, signal } = options
        const command = new PutObjectCommand({
          ...at(key),
          Body: bytes,
          ContentLength: bytes.length,
          ...(crc32 !== undefined && { ChecksumCRC32: base64Of(crc32) }),
          ...headersOf(condition),
        })
        try {
          const { ETag = '', $metadata } = await send(fenced(command, options), { abortSignal: signal })
          return { etag: ETag, modifiedMs: dateOf($metadata) }
        } catch (error) {
          if (!condition || (kindOf(error) !== 'refused' && kindOf(error) !== 'missing')) throw error
          // The answer to an earlier attempt may have been lost on its way: then it is ours that stands there.
          const found = attemptsOf(error) > 1 ? await self.read(key, options) : undefined
          return found?.bytes.equals(bytes) ? found : undefined
        }
      }),

    remove: (key, options) =>
      answered(options, async () => {
        const command = new DeleteObjectCommand({ ...at(key), ...headersOf(options.condition) })
        try {
          await send(fenced(command, options), { abortSignal: options.signal })
          return true
        } catch (error) {
          const kind = kindOf(error)
          if (kind !== 'missing' && kind !== 'refused') throw error
          return kind === 'missing'
        }
      }),

    list: (under, { after, limit, signal }) =>
      answered({ signal }, async () => {
        const found = await send(
          new ListObjectsV2Command({
            Bucket,
            Prefix: prefix + under,
            MaxKeys: Math.min(limit, pageLength),
            ...(after !== undefined && after !== '' && { StartAfter: prefix + after }),
          }),
          { abortSignal: signal },
        )
        const entries = (found.Contents ?? []).map(({ Key = '', Size = 0 }) => ({
          key: Key.slice(prefix.length),
          size: Size,
        }))
        return { entries, more: found.IsTruncated === true }
      }),

    startMultipart: (key, io) =>
      answered(io, async () => {
        const checksum = fullChecksum && {
          ChecksumAlgorithm: 'CRC32' as const,
          ChecksumType: 'FULL_OBJECT' as const,
        }
        const made = await send(new CreateMultipartUploadCommand({ ...at(key), ...checksum }), {
          abortSignal: io.signal,
        })
        if (made.UploadId === undefined) throw new Error('the store named no multipart upload')
        return made.UploadId
      }),

    putPart: (upload, number, bytes, { crc32, signal }) =>
      answered({ signal }, async () => {
        const command = new UploadPartCommand({
          ...atPart(upload),
          PartNumber: number,
          Body: bytes,
          ContentLength: bytes.length,
          ChecksumCRC32: base64Of(crc32),
        })
        const done = await send(command, { abortSignal: signal }).catch(unlessMissing)
        return done?.ETag
      }),

    parts: (upload, io) =>
      answered(io, async () => {
        const parts = []
        for (let marker: string | undefined; ; ) {
          const command = new ListPartsCommand({
            ...atPart(upload),
            ...(marker && { PartNumberMarker: marker }),
          })
          const page = await send(command, { abortSignal: io.signal }).catch(unlessMissing)
          if (!page) return undefined
          for (const { PartNumber = 0, ETag = '', Size = 0, LastModified } of page.Parts ?? [])
            parts.push({
              number: PartNumber,
              etag: ETag,
              size: Size,
              modifiedMs: LastModified?.getTime() ?? 0,
            })
          if (!page.IsTruncated) return parts
          marker = page.NextPartNumberMarker
        }
      }),

    completeMultipart: (upload, { etags, size, crc32 }, options) =>
      answered(options, async () => {
        const Parts = etags.map((ETag, index) => ({ ETag, PartNumber: index + 1 }))
        const checksum = fullChecksum &&
          crc32 !== undefined && { ChecksumCRC32: base64Of(crc32), ChecksumType: 'FULL_OBJECT' as const }
        const command = new CompleteMultipartUploadCommand({
          ...atPart(upload),
          MultipartUpload: { Parts },
          ...checksum,
        })
        try {
          await send(fenced(command, options), { abortSignal: options.signal })
          return true
        } catch (error) {
          if (kindOf(error) !== 'missing') throw error
          // An answer may have been lost on its way: nothing but this upload makes an object of this key.
          return attemptsOf(error) > 1 && (await self.head(upload.key, options)) === size
        }
      }),

    abortMultipart: (upload, io) =>
      answered(io, async () => {
        await send(new AbortMultipartUploadCommand(atPart(upload)), { abortSignal: io.signal }).catch(
          unlessMissing,
        )
      }),

    multiparts: (under, io) =>
      answered(io, async () => {
        const found = await send(
          new ListMultipartUploadsCommand({ Bucket, Prefix: prefix + under, MaxUploads: pageLength }),
          {
            abortSignal: io.signal,
          },
        )
        return (found.Uploads ?? []).map(({ Key = '', UploadId = '', Initiated }) => ({
          key: Key.slice(prefix.length),
          uploadId: UploadId,
          startedMs: Initiated?.getTime() ?? 0,
        }))
      }),

    close: () => client.destroy(),
  }
  return self
}

interface Stack {
  add(
    middleware: (next: Next) => Next,
    options: { step: 'finalizeRequest'; name: string; priority: 'low' },
  ): void
}
// biome-ignore lint/suspicious/noExplicitAny: what goes through it is the SDK's own.
type Next = (args: any) => Promise<any>

/** Sends a mutation so that no attempt of it, however late, goes out after its deadline. */
function fenced<C extends { readonly middlewareStack: Stack }>(
  command: C,
  { deadlineMs }: Pick<MutationOptions, 'deadlineMs'>,
): C {
  const fence = (next: Next) => async (args: unknown) => {
    if (Date.now() > deadlineMs)
      throw new RegistryError('STORAGE_UNAVAILABLE', {
        message: 'the operation took too long and was given up',
      })
    return next(args)
  }
  // Behind the signature, once for each attempt: the store refuses what was signed long ago.
  command.middlewareStack.add(fence, { step: 'finalizeRequest', name: 'fence', priority: 'low' })
  return command
}

const headersOf = (condition: Condition | undefined) =>
  condition && ('ifAbsent' in condition ? { IfNoneMatch: '*' } : { IfMatch: condition.ifMatch })

function base64Of(crc32: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(crc32)
  return bytes.toString('base64')
}

function dateOf(metadata: object): number {
  const date = 'date' in metadata ? Date.parse(String(metadata.date)) : Number.NaN
  return Number.isNaN(date) ? Date.now() : date
}
