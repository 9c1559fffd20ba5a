/** Multipart uploads of a bucket. */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import type { Io } from '../oci/io.ts'
import { nonce } from '../oci/nonce.ts'
import type { Bucket, MultipartId, OpenMultipart, Part } from './bucket.ts'
import type { MutationOptions } from './object-store.ts'
import { answered, goesRound, kindOf, unlessMissing } from './s3-faults.ts'
import { base64Of, fenced, type Requests } from './s3-requests.ts'

type MultipartMethods = Pick<
  Bucket,
  'startMultipart' | 'putPart' | 'parts' | 'completeMultipart' | 'abortMultipart' | 'multiparts'
>

/** The checksum of a multipart upload is that of all its bytes, whatever parts they came in. */
const fullObject = { ChecksumType: 'FULL_OBJECT' } as const

export function s3Multiparts({ send, bucket, prefix, clock, at }: Requests): MultipartMethods {
  const atPart = ({ key, uploadId }: MultipartId) => ({ ...at(key), UploadId: uploadId })

  const etagAt = async (key: string, io: Io) =>
    (await send(new HeadObjectCommand(at(key)), { abortSignal: io.signal }).catch(unlessMissing))?.ETag

  let following: Promise<boolean> | undefined
  /** Whether etags here follow from those of parts; tried out once, when an object has another. */
  async function followsParts(options: MutationOptions): Promise<boolean> {
    following ??= tryOut(options)
    try {
      return await following
    } catch (error) {
      following = undefined
      throw error
    }
  }

  async function tryOut(options: MutationOptions): Promise<boolean> {
    const key = `probe/${nonce()}`
    const upload = { key, uploadId: await self.startMultipart(key, options) }
    const part = await self.putPart(upload, 1, Buffer.from('x'), options)
    if (!part) throw new Error('the store forgot a multipart upload')
    const Parts = [namedPart(part, 0)]
    const made = await send(
      new CompleteMultipartUploadCommand({ ...atPart(upload), MultipartUpload: { Parts } }),
      { abortSignal: options.signal },
    )
    await send(new DeleteObjectCommand(at(key)), { abortSignal: options.signal })
    return made.ETag === etagOf([part])
  }

  /** Whether open uploads are found by what their keys begin with: there are stores that find only whole keys. */
  let byPrefix: boolean | undefined

  async function listOpen(start: string, io: Io): Promise<OpenMultipart[]> {
    const open: OpenMultipart[] = []
    for (let from: { readonly KeyMarker?: string; readonly UploadIdMarker?: string } = {}; ; ) {
      const command = new ListMultipartUploadsCommand({
        Bucket: bucket,
        ...(start !== '' && { Prefix: start }),
        ...from,
      })
      const page = await send(command, { abortSignal: io.signal })
      for (const { Key = '', UploadId = '', Initiated } of page.Uploads ?? [])
        if (Key.startsWith(prefix))
          open.push({
            key: Key.slice(prefix.length),
            uploadId: UploadId,
            startedMs: Initiated?.getTime() ?? 0,
          })
      if (!page.IsTruncated) return open
      const { NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page
      if (KeyMarker === undefined || (KeyMarker === from.KeyMarker && UploadIdMarker === from.UploadIdMarker))
        throw goesRound()
      from = { KeyMarker, ...(UploadIdMarker !== undefined && { UploadIdMarker }) }
    }
  }

  const self: MultipartMethods = {
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
          for (const { PartNumber = 0, ETag = '', Size = 0, LastModified, ChecksumCRC32 } of page.Parts ??
            []) {
            // Some stores show a part a moment before its checksum: it is not there yet.
            if (!ChecksumCRC32) continue
            parts.push({
              number: PartNumber,
              etag: ETag,
              crc32: numberOf(ChecksumCRC32),
              size: Size,
              modifiedMs: LastModified?.getTime() ?? 0,
            })
          }
          if (!page.IsTruncated) return parts
          // Markers are numbers, and parts come in their order.
          if (!(Number(page.NextPartNumberMarker) > Number(marker ?? 0))) throw goesRound()
          marker = page.NextPartNumberMarker
        }
      }),

    completeMultipart: (upload, { parts, crc32: crc }, options) =>
      answered(options, async () => {
        const Parts = parts.map(namedPart)
        const command = new CompleteMultipartUploadCommand({
          ...atPart(upload),
          MultipartUpload: { Parts },
          ...(crc !== undefined && { ...fullObject, ChecksumCRC32: base64Of(crc) }),
        })
        const ours = etagOf(parts)
        const tried = { doubtful: 0 }
        try {
          const done = await send(fenced(command, options, clock, tried), { abortSignal: options.signal })
          // There are stores that say so of what was completed before, from whatever parts, and repeat what they were told.
          const etag = done.ChecksumCRC32 === undefined ? await etagAt(upload.key, options) : done.ETag
          return etag === ours || !(await followsParts(options))
        } catch (error) {
          if (kindOf(error) !== 'missing') throw error
          // An answer may have been lost on its way; or somebody else has completed it, with parts of his own.
          return tried.doubtful > 0 && (await etagAt(upload.key, options)) === ours
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
        const start = prefix + under
        if (start !== '' && byPrefix !== false) {
          const found = await listOpen(start, io)
          if (found.some(({ key }) => key !== under)) byPrefix = true
          if (byPrefix) return found
        }
        const found = (await listOpen('', io)).filter(({ key }) => key.startsWith(under))
        if (start !== '' && found.length > 0) byPrefix = false
        return found
      }),
  }
  return self
}

const namedPart = ({ etag, crc32: crc }: Part, index: number) => ({
  PartNumber: index + 1,
  ETag: etag,
  ChecksumCRC32: base64Of(crc),
})

/** What most stores call an object that was made of these parts. */
function etagOf(parts: readonly Part[]): string {
  const hash = createHash('md5')
  for (const { etag } of parts) hash.update(Buffer.from(etag.replaceAll('"', ''), 'hex'))
  return `"${hash.digest('hex')}-${parts.length}"`
}

const numberOf = (base64: string) => Buffer.from(base64, 'base64').readUInt32BE()
