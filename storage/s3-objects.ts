/** Single objects of a bucket. */
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { crc32 } from 'node:zlib'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import type { Io } from '../oci/io.ts'
import type { Bucket } from './bucket.ts'
import type { Condition, StoredRecord } from './object-store.ts'
import { pause } from './record.ts'
import { answered, attemptsOf, CutOff, kindOf, unlessMissing } from './s3-faults.ts'
import { base64Of, dateOf, fenced, type Requests } from './s3-requests.ts'

type ObjectMethods = Pick<Bucket, 'read' | 'get' | 'head' | 'put' | 'remove' | 'list'>

const pageLength = 1000
/** Bodies that broke off are asked for again so often. */
const maxReads = 3

export function s3Objects({ send, bucket, prefix, attempts, at }: Requests): ObjectMethods {
  async function readOnce(key: string, io: Io): Promise<StoredRecord | undefined> {
    const found = await send(new GetObjectCommand(at(key)), { abortSignal: io.signal }).catch(unlessMissing)
    if (!found?.Body) return undefined
    const bytes = await buffer(found.Body as Readable).catch(cause => {
      throw new CutOff('an answer of the store broke off', { cause })
    })
    if (bytes.length !== found.ContentLength) throw new CutOff('an answer of the store ended early')
    return { bytes, etag: found.ETag ?? '', modifiedMs: found.LastModified?.getTime() ?? 0 }
  }

  const self: ObjectMethods = {
    read: (key, io) =>
      answered(io, async () => {
        for (let time = 1; ; time++)
          try {
            return await readOnce(key, io)
          } catch (error) {
            if (!(error instanceof CutOff) || time === maxReads) throw error
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
        const { condition, signal } = options
        const command = () =>
          new PutObjectCommand({
            ...at(key),
            Body: bytes,
            ContentLength: bytes.length,
            // Some stores keep what came of a body that was cut off, unless they have something to compare it with.
            ChecksumCRC32: base64Of(crc32(bytes)),
            ...headersOf(condition),
          })
        for (let time = 1; ; time++)
          try {
            const { ETag = '', $metadata } = await send(fenced(command(), options), { abortSignal: signal })
            return { etag: ETag, modifiedMs: dateOf($metadata) }
          } catch (error) {
            const kind = kindOf(error)
            // Somebody else does something to this key or its neighbour in this moment, and nothing was written.
            if (kind === 'conflict' && time < attempts) {
              await pause()
              continue
            }
            if (!condition || (kind !== 'refused' && kind !== 'missing')) throw error
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
            Bucket: bucket,
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
  }
  return self
}

const headersOf = (condition: Condition | undefined) =>
  condition && ('ifAbsent' in condition ? { IfNoneMatch: '*' } : { IfMatch: condition.ifMatch })
