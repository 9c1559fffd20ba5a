import { statSync } from 'node:fs'
import { readdir, rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { content, fetched } from '../helpers/blob.ts'
import { digestsOf, image, mediaTypes } from '../helpers/images.ts'
import { manifestStatus, pullDigests, pushImage } from '../helpers/push.ts'
import { startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'
import { append, cancel, finish, slowRequest, startUpload, uploadStatus } from '../helpers/upload.ts'
import { itMounts, mountVolume } from '../helpers/volume.ts'

const MiB = 1024 * 1024

/** Files that hold something: an empty one among the content only tells that an upload is gone. */
async function filesIn(data: string, folder: string): Promise<readonly string[]> {
  const entries = await readdir(join(data, folder), { recursive: true, withFileTypes: true }).catch(() => [])
  return entries
    .filter(entry => entry.isFile() && statSync(join(entry.parentPath, entry.name)).size > 0)
    .map(entry => entry.name)
}

/** Fills a volume with one file until `left` bytes are free. */
async function fill(path: string, left: number): Promise<string> {
  const { bavail, bsize } = await statfs(path)
  const filler = join(path, 'tmp', 'filler')
  await writeFile(filler, Buffer.alloc(bavail * bsize - left))
  return filler
}

async function fault(answer: Response): Promise<string> {
  const { errors } = (await answer.json()) as { errors: { code: string; message: string }[] }
  return `${answer.status} ${errors[0]?.code}: ${errors[0]?.message}`
}

const full = /^507 UNAVAILABLE: storage is full/

itMounts('refuses blobs on a full disk, goes on with all else, and resumes when there is room', async () => {
  await using volume = await mountVolume(64 * MiB)
  await using server = await startServer({ data: volume.path })
  const repository = { address: server.address, name: 'faults/full' }
  const kept = image({ seed: 'full', layers: [300, 2 * MiB] })
  await pushImage(repository, kept, 'before')
  const contentBefore = await filesIn(volume.path, 'd')
  const begun = await append(await startUpload(repository), content('full', MiB).bytes)
  // The reserve is 2 % of the disk: 1.28 MiB. Nothing of it is free for blobs, all of it for records.
  const filler = await fill(volume.path, MiB)

  const blob = content('large', 4 * MiB)
  const url = new URL(`/v2/faults/full/blobs/uploads/`, server.address)
  await until(
    'it has seen that the disk is full',
    async () => (await fetch(url, { method: 'POST' })).status === 507,
  )
  expect(await fault(await fetch(url, { method: 'POST' }))).toMatch(full)
  url.searchParams.set('digest', blob.digest)
  expect(await fault(await fetch(url, { method: 'POST', body: new Uint8Array(blob.bytes) }))).toMatch(full)
  expect(await fault(await finish(begun, blob.digest, blob.bytes))).toMatch(full)
  expect((await fetch(new URL('/readyz', server.address))).status).toBe(503)
  expect((await fetch(new URL('/healthz', server.address))).status).toBe(200)

  expect((await pullDigests(repository, 'before')).all).toEqual(digestsOf(kept))
  await pushImage(repository, { ...kept, blobs: [] }, 'during')
  expect(await manifestStatus(repository, 'during')).toBe(200)
  const gone = new URL('/v2/faults/full/manifests/during', server.address)
  expect((await fetch(gone, { method: 'DELETE' })).status).toBe(202)
  // An upload that was begun before is still where it was.
  expect((await uploadStatus(begun)).size).toBe(MiB)

  await rm(filler)
  expect((await fetch(new URL('/readyz', server.address))).status).toBe(200)
  expect((await finish(await startUpload(repository), blob.digest, blob.bytes)).status).toBe(201)
  expect(await fetched(repository, blob)).toBe(blob.digest)
  expect((await pullDigests(repository, 'before')).all).toEqual(digestsOf(kept))
  expect((await cancel(begun)).status).toBe(204)
  expect(await filesIn(volume.path, 'tmp')).toEqual([])
  expect(await filesIn(volume.path, 'u')).toEqual([])
  expect(await filesIn(volume.path, 'd')).toHaveLength(contentBefore.length + 1)
})

itMounts('drops an upload that fills the disk on its way, and keeps no half of it', async () => {
  await using volume = await mountVolume(64 * MiB)
  await using server = await startServer({ data: volume.path })
  const repository = { address: server.address, name: 'faults/overflow' }
  const kept = image({ seed: 'overflow', layers: [300, 2 * MiB] })
  await pushImage(repository, kept, 'before')
  const contentBefore = await filesIn(volume.path, 'd')
  const filler = await fill(volume.path, 8 * MiB)
  const blob = content('overflow', 16 * MiB)
  // In chunks nobody knows beforehand that it will not fit.
  for (const method of ['PATCH', 'POST']) {
    const upload = await startUpload(repository)
    const single = new URL(`/v2/faults/overflow/blobs/uploads/?digest=${blob.digest}`, server.address)
    await using client = await slowRequest(method, method === 'PATCH' ? upload.url : single, 0, 'chunked')
    await client.send(blob.bytes)
    client.end()
    expect(await client.answer).toMatch(/^HTTP\/1\.1 507 /)
    if (method === 'POST') expect((await cancel(upload)).status).toBe(204)
  }
  await until('no upload is left', async () => (await filesIn(volume.path, 'u')).length === 0)
  expect(await filesIn(volume.path, 'd')).toEqual(contentBefore)
  expect((await pullDigests(repository, 'before')).all).toEqual(digestsOf(kept))
  await rm(filler)
  await pushImage(repository, image({ seed: 'after', layers: [4 * MiB] }), 'after')
  expect(await filesIn(volume.path, 'tmp')).toEqual([])
})

itMounts('loses nothing that it acknowledged when not even records fit', async () => {
  await using volume = await mountVolume(64 * MiB)
  await using server = await startServer({ data: volume.path })
  const repository = { address: server.address, name: 'faults/brim' }
  const kept = image({ seed: 'brim', layers: [300, 100_000] })
  await pushImage(repository, kept, 'tag')
  const filler = await fill(volume.path, 0)

  const url = new URL('/v2/faults/brim/manifests/other', server.address)
  const headers = { 'Content-Type': mediaTypes.oci.manifest }
  const put = () => fetch(url, { method: 'PUT', headers, body: new Uint8Array(kept.bytes) })
  expect(await fault(await put())).toMatch(full)
  expect(await manifestStatus(repository, 'other')).toBe(404)
  expect((await pullDigests(repository, 'tag')).all).toEqual(digestsOf(kept))
  expect(await filesIn(volume.path, 'tmp')).toEqual(['filler'])

  await rm(filler)
  expect((await put()).status).toBe(201)
  expect((await pullDigests(repository, 'other')).all).toEqual(digestsOf(kept))
})
