/** Single objects of a bucket. */
import type { Readable } from 'node:stream'
import { crc32 } from 'node:zlib'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { RegistryError } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import type { ByteRange } from '../oci/ranges.ts'
import type { Bucket } from './bucket.ts'
import { mostApartMs } from './clocks.ts'
import type { Condition, StoredRecord } from './object-store.ts'
import { pause } from './record.ts'
import { answered, CutOff, comeAgain, goesRound, kindOf, unlessMissing } from './s3-faults.ts'
import { base64Of, dateOf, fenced, type Requests } from './s3-requests.ts'
import { steady } from './s3-steady.ts'
import { wholeOf } from './whole-of.ts'

type ObjectMethods = Pick<Bucket, 'read' | 'get' | 'head' | 'put' | 'remove' | 'list'>

const pageLength = 1000
/** Bodies that broke off are asked for again so often. */
const maxReads = 3
/** Content that came this far counts as no break: what is large may break more often. */
const progressBytes = 16 * 1024 * 1024

/** A part of an object, on its way. */
interface Found {
  readonly stream: Readable
  readonly span: ByteRange
  /** Of the whole. */
  readonly size: number
  readonly etag: string
  readonly modifiedMs: number
}

export function s3Objects({ send, bucket, prefix, patience, readers, clock, at }: Requests): ObjectMethods {
  const { attempts, silenceMs } = patience

  async function find(
    key: string,
    { signal }: Io,
    range?: ByteRange,
    etag?: string,
  ): Promise<Found | undefined> {
    const command = new GetObjectCommand({
      ...at(key),
      ...(range && { Range: `bytes=${range.start}-${range.end - 1}` }),
      ...(etag && { IfMatch: etag }),
    })
    const found = await send(command, { abortSignal: signal }).catch(unlessMissing)
    if (!found?.Body) return undefined
    const { ContentLength = 0, ContentRange = '', ETag = '', LastModified } = found
    const stream = found.Body as Readable
    const [, start, whole] = /^bytes (\d+)-\d+\/(\d+)$/.exec(ContentRange) ?? []
    const size = whole === undefined ? ContentLength : Number(whole)
    const from = Number(start ?? 0)
    const span = { start: from, end: from + ContentLength }
    if (range && (span.start !== range.start || span.end !== Math.min(range.end, size))) {
      stream.destroy()
      const message = 'storage sends another part of what it holds than it is asked for'
      throw new RegistryError('STORAGE_UNAVAILABLE', { message })
    }
    return {
      stream,
      span,
      size,
      etag: ETag,
      modifiedMs: LastModified?.getTime() ?? 0,
    }
  }

  async function readOnce(key: string, io: Io): Promise<StoredRecord | undefined> {
    const found = await find(key, io)
    if (!found) return undefined
    const { stream, span, etag, modifiedMs } = found
    const again = (_rest: ByteRange, cause: Error) => Promise.reject(cause)
    const bytes = await wholeOf(steady({ first: stream, span, again, silenceMs })).catch(cause => {
      throw new CutOff('an answer of the store broke off', { cause })
    })
    return { bytes, etag, modifiedMs }
  }

  /** Asks for the rest of content that broke off. */
  function resumption(key: string, { etag }: Found, io: Io) {
    let breaks = 0
    let lastBreak = 0
    return (rest: ByteRange, cause: Error, wasIdle: boolean): Promise<Readable> =>
      answered(io, async () => {
        if (!wasIdle) {
          breaks = rest.start - lastBreak > progressBytes ? 1 : breaks + 1
          lastBreak = rest.start
        }
        if (breaks > maxReads) throw cause
        const found = await find(key, io, rest, etag)
        if (!found) throw cause
        return found.stream
      })
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
        await readers.enter({ signal })
        let stream: Readable | undefined
        try {
          const found = await find(key, { signal }, range)
          if (!found) return undefined
          const { stream: first, span, size } = found
          const again = resumption(key, found, { signal })
          stream = steady({ first, span, again, silenceMs }).once('close', readers.leave)
          return { size, stream }
        } finally {
          if (!stream) readers.leave()
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
        const beganMs = Date.now()
        const tried = { doubtful: 0 }
        for (let time = 1; ; time++)
          try {
            const { ETag = '', $metadata } = await send(fenced(command(), options, clock, tried), {
              abortSignal: signal,
            })
            return { etag: ETag, modifiedMs: dateOf($metadata) }
          } catch (error) {
            const kind = kindOf(error)
            // Somebody else does something to this key or its neighbour in this moment, and nothing was written.
            if (kind === 'conflict' && time < attempts) {
              await pause()
              continue
            }
            if (!condition || (kind !== 'refused' && kind !== 'missing')) throw error
            if (tried.doubtful === 0) return undefined
            // The answer to an earlier attempt may have been lost on its way: then it is ours that stands there.
            const found = await self.read(key, options)
            if (found?.bytes.equals(bytes)) return found
            if (found && found.modifiedMs < beganMs - mostApartMs) return undefined
            // Or it stood there, and somebody has put another in its place: neither yes nor no is true for sure.
            const message = 'an answer of storage was lost, and it cannot be told whether this was done'
            throw new RegistryError('STORAGE_UNAVAILABLE', { message, cause: error, headers: comeAgain })
          }
      }),

    remove: (key, options) =>
      answered(options, async () => {
        const command = new DeleteObjectCommand({ ...at(key), ...headersOf(options.condition) })
        try {
          await send(fenced(command, options, clock), { abortSignal: options.signal })
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
        // The next page begins behind the last entry of this one.
        if (found.IsTruncated && entries.length === 0) throw goesRound()
        return { entries, more: found.IsTruncated === true }
      }),
  }
  return self
}

const headersOf = (condition: Condition | undefined) =>
  condition && ('ifAbsent' in condition ? { IfNoneMatch: '*' } : { IfMatch: condition.ifMatch })
