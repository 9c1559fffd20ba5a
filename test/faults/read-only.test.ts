import { expect } from 'vitest'
import { content, fetched } from '../helpers/blob.ts'
import { digestsOf, image, mediaTypes } from '../helpers/images.ts'
import { pullDigests, pushImage } from '../helpers/push.ts'
import { startServer } from '../helpers/server.ts'
import { append, finish, startUpload } from '../helpers/upload.ts'
import { itMounts, mountVolume } from '../helpers/volume.ts'

const MiB = 1024 * 1024

itMounts('goes on reading when its folder turns read-only, and writes again when it can', async () => {
  await using volume = await mountVolume(64 * MiB)
  await using server = await startServer({ data: volume.path })
  const repository = { address: server.address, name: 'faults/read-only' }
  const kept = image({ seed: 'read-only', layers: [300, MiB] })
  await pushImage(repository, kept, 'tag')
  const blob = content('read-only', 2 * MiB)
  const begun = await append(await startUpload(repository), blob.bytes.subarray(0, MiB))
  const at = (path: string) => new URL(path, server.address)

  await volume.remount('ro')
  const body = new Uint8Array(kept.bytes)
  const headers = { 'Content-Type': mediaTypes.oci.manifest }
  const writes: [string, () => Promise<Response>][] = [
    ['finish', () => finish(begun, blob.digest, blob.bytes.subarray(MiB))],
    ['push', () => fetch(at('/v2/faults/read-only/manifests/other'), { method: 'PUT', headers, body })],
    ['untag', () => fetch(at('/v2/faults/read-only/manifests/tag'), { method: 'DELETE' })],
    ['cancel', () => fetch(begun.url, { method: 'DELETE' })],
  ]
  for (const [what, write] of writes) {
    const answer = await write()
    expect(`${what} ${answer.status}`).toBe(`${what} 503`)
    expect(answer.headers.get('Retry-After')).toMatch(/^\d+$/)
    expect(await answer.json()).toMatchObject({ errors: [{ code: 'UNAVAILABLE' }] })
  }
  const readiness = await fetch(at('/readyz'))
  expect(readiness.status).toBe(503)
  expect(await readiness.json()).toMatchObject({ storage: expect.stringContaining('EROFS') })
  expect((await fetch(at('/healthz'))).status).toBe(200)
  expect((await pullDigests(repository, 'tag')).all).toEqual(digestsOf(kept))

  await volume.remount('rw')
  expect((await fetch(at('/readyz'))).status).toBe(200)
  expect((await finish(begun, blob.digest, blob.bytes.subarray(MiB))).status).toBe(201)
  expect(await fetched(repository, blob)).toBe(blob.digest)
  await pushImage(repository, kept, 'other')
})
