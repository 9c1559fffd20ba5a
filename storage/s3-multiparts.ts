/** Multipart uploads of a bucket. */
import { crc32 } from 'node:zlib'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import type { Bucket, MultipartId } from './bucket.ts'
import { answered, attemptsOf, kindOf, unlessMissing } from './s3-faults.ts'
import { base64Of, fenced, type Requests } from './s3-requests.ts'

type MultipartMethods = Pick<
  Bucket,
  'startMultipart' | 'putPart' | 'parts' | 'completeMultipart' | 'abortMultipart' | 'multiparts'
>

/** The checksum of a multipart upload is that of all its bytes, whatever parts they came in. */
const fullObject = { ChecksumType: 'FULL_OBJECT' } as const

export function s3Multiparts(
  { send, bucket, prefix, at }: Requests,
  { head }: Pick<Bucket, 'head'>,
): MultipartMethods {
  const atPart = ({ key, uploadId }: MultipartId) => ({ ...at(key), UploadId: uploadId })

  return {
    startMultipart: (key, io) =>
      answered(io, async () => {
        const command = new CreateMultipartUploadCommand({
          ...at(key),
          ...fullObject,
          ChecksumAlgorithm: 'CRC32',
        })
        const made = await send(command, { abortSignal: io.signal })
        if (made.UploadId === undefined) throw new Error('the store named no multipart upload')
        return made.UploadId
      }),

    putPart: (upload, number, bytes, { signal }) =>
      answered({ signal }, async () => {
        const crc = crc32(bytes)
        const command = new UploadPartCommand({
          ...atPart(upload),
          PartNumber: number,
          Body: bytes,
          ContentLength: bytes.length,
          ChecksumCRC32: base64Of(crc),
        })
        const done = await send(command, { abortSignal: signal }).catch(unlessMissing)
        return done?.ETag === undefined ? undefined : { etag: done.ETag, crc32: crc }
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
          for (const {
            PartNumber = 0,
            ETag = '',
            Size = 0,
            LastModified,
            ChecksumCRC32 = '',
          } of page.Parts ?? [])
            parts.push({
              number: PartNumber,
              etag: ETag,
              crc32: numberOf(ChecksumCRC32),
              size: Size,
              modifiedMs: LastModified?.getTime() ?? 0,
            })
          if (!page.IsTruncated) return parts
          marker = page.NextPartNumberMarker
        }
      }),

    completeMultipart: (upload, { parts, size, crc32: crc }, options) =>
      answered(options, async () => {
        const Parts = parts.map(({ etag, crc32: own }, index) => ({
          PartNumber: index + 1,
          ETag: etag,
          ChecksumCRC32: base64Of(own),
        }))
        const command = new CompleteMultipartUploadCommand({
          ...atPart(upload),
          MultipartUpload: { Parts },
          ...(crc !== undefined && { ...fullObject, ChecksumCRC32: base64Of(crc) }),
        })
        try {
          await send(fenced(command, options), { abortSignal: options.signal })
          return true
        } catch (error) {
          if (kindOf(error) !== 'missing') throw error
          // An answer may have been lost on its way: nothing but this upload makes an object of this key.
          return attemptsOf(error) > 1 && (await head(upload.key, options)) === size
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
        const open = []
        for (let markers = {}; ; ) {
          // Not by prefix: there are stores that find only whole keys by it.
          const page = await send(new ListMultipartUploadsCommand({ Bucket: bucket, ...markers }), {
            abortSignal: io.signal,
          })
          for (const { Key = '', UploadId = '', Initiated } of page.Uploads ?? [])
            if (Key.startsWith(prefix + under))
              open.push({
                key: Key.slice(prefix.length),
                uploadId: UploadId,
                startedMs: Initiated?.getTime() ?? 0,
              })
          if (!page.IsTruncated) return open
          markers = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
        }
      }),
  }
}

const numberOf = (base64: string) => Buffer.from(base64, 'base64').readUInt32BE()
