/** What a bucket must do with objects that come in parts, or had better do. */
import { crc32 } from 'node:zlib'
import type { MultipartId, Part, WholeObject } from './bucket.ts'
import { type Bench, type Check, no, yes } from './bucket-check.ts'
import { wholeOf } from './whole-of.ts'

/** Of every part but the last, at least. */
const leastBytes = 5 * 1024 * 1024
const pattern = Buffer.alloc(leastBytes + 1000, 'neither the first part nor the last; ')
const full = pattern.subarray(0, leastBytes)
const longer = pattern
const short = pattern.subarray(0, 1000)
const other = Buffer.alloc(short.length, 'other')

/** A multipart upload with these parts, as it should become one object. */
async function gathered(
  { bucket, options }: Bench,
  key: string,
  parts: readonly Buffer[],
): Promise<{ readonly upload: MultipartId; readonly whole: WholeObject }> {
  const upload = { key, uploadId: await bucket.startMultipart(key, options) }
  const put = async (bytes: Buffer, index: number): Promise<Part> => {
    const part = await bucket.putPart(upload, index + 1, bytes, options)
    if (!part) throw new Error('an upload that was just begun is unknown')
    return part
  }
  const crc = parts.reduce((sum, bytes) => crc32(bytes, sum), 0)
  return { upload, whole: { parts: await Promise.all(parts.map(put)), crc32: crc } }
}

/** Some stores say why, others that they do not know such an upload. */
function isRefused({ bucket, options }: Bench, upload: MultipartId, whole: WholeObject): Promise<boolean> {
  return bucket.completeMultipart(upload, whole, options).then(
    done => !done,
    () => true,
  )
}

export const partChecks: readonly Check[] = [
  {
    name: 'multipart upload',
    decides: 'service',
    async look(bench) {
      const { bucket, prefix, options } = bench
      const key = `${prefix}parts`
      const { upload, whole } = await gathered(bench, key, [full, short])
      const listed = (await bucket.parts(upload, options)) ?? []
      const said = (parts: readonly Part[]) => parts.map(({ etag, crc32: crc }) => `${etag} ${crc}`).join()
      const isListed = said(listed) === said(whole.parts) && listed[0]?.size === full.length
      if (!isListed) return no('lists other parts than were stored')
      if ((await bucket.head(key, options)) !== undefined) return no('it is there before it is complete')
      if (!(await bucket.completeMultipart(upload, whole, options))) return no('they are refused')
      const range = { start: full.length - 3, end: full.length + 3 }
      const found = await bucket.get(key, { ...options, range })
      if (found?.size !== full.length + short.length) return no('it has another size')
      const expected = Buffer.concat([full.subarray(-3), short.subarray(0, 3)])
      return (await wholeOf(found.stream)).equals(expected) ? yes : no('it has other bytes')
    },
  },
  {
    name: 'parts of several lengths',
    decides: 'nothing',
    async look(bench) {
      const { upload, whole } = await gathered(bench, `${bench.prefix}unequal`, [full, longer, short])
      return (await isRefused(bench, upload, whole)) ? no('no') : yes
    },
  },
  {
    name: 'checksum of the whole',
    decides: 'nothing',
    async look(bench) {
      const { upload, whole } = await gathered(bench, `${bench.prefix}checksum`, [short])
      const wrong = { ...whole, crc32: crc32(other) }
      if (!(await isRefused(bench, upload, wrong))) return no('a wrong one is accepted')
      return (await isRefused(bench, upload, whole)) ? no('the right one is refused after a wrong one') : yes
    },
  },
  {
    name: 'replaced parts',
    decides: 'service',
    async look(bench) {
      const { bucket, options } = bench
      const { upload, whole } = await gathered(bench, `${bench.prefix}rewritten`, [short])
      if (!(await bucket.putPart(upload, 1, other, options))) return no('a part cannot be replaced')
      const former = { ...whole, crc32: undefined }
      return (await isRefused(bench, upload, former)) ? yes : no('they are accepted')
    },
  },
  {
    name: 'unfinished uploads',
    decides: 'service',
    async look(bench) {
      const { bucket, prefix, options } = bench
      const { upload } = await gathered(bench, `${prefix}open`, [short])
      const isListed = async () =>
        (await bucket.multiparts(prefix, options)).some(({ uploadId }) => uploadId === upload.uploadId)
      if (!(await isListed())) return no('one that was begun is not listed')
      await bucket.abortMultipart(upload, options)
      if (await isListed()) return no('one that was aborted is listed')
      return (await bucket.putPart(upload, 2, short, options)) ? no('one that was aborted goes on') : yes
    },
  },
]
