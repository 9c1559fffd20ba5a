/** A registry over a bucket of an engine, and what it asks of that, counted where it leaves this process. */
import { expect } from 'vitest'
import { bucketStore } from '../../storage/bucket-store.ts'
import { partBuffers } from '../../storage/part-buffers.ts'
import { s3Bucket } from '../../storage/s3-bucket.ts'
import { setAccess } from './access.ts'
import { type Content, digest, mediaTypes, randomBytes } from './images.ts'
import { startRegistry } from './registry.ts'
import type { S3Engine } from './s3-engine.ts'
import { startS3Proxy } from './s3-proxy.ts'
import type { S3WireRequest } from './s3-wire.ts'
import { append, finish, finishUrl, startUpload } from './upload.ts'

export const partBytes = 16 * 1024 * 1024

/**
 * A registry, and a way to count what an act costs, but for what is asked or written by time, however much is done: who may
 * do what, which repositories there are, and the audit; and the removal of what is not needed any more, which nobody waits for.
 */
export async function countedRegistry(engine: S3Engine, bucket: string) {
  const wire = await startS3Proxy(engine)
  const settings = { bucket, region: engine.region, pathStyle: true, credentials: engine }
  const guarantees = { conditionalWrite: true, conditionalRemove: engine.name === 'versitygw' }
  const through = s3Bucket({ ...settings, endpoint: wire.endpoint.href })
  const store = bucketStore(through, guarantees, partBuffers({ bytes: partBytes, most: 4 }))
  // A server makes it at its start; what is not there is looked for each time.
  await setAccess(store, {})
  const registry = await startRegistry({ store })
  const repository = { address: registry.address, name: 'team/app' }
  const countOf = async (act: () => Promise<unknown>) => {
    const since = wire.requests.length
    await act()
    const isCounted = ({ method, key }: S3WireRequest) =>
      method !== 'DELETE' && !/^(?:audit|repos|secret)\//.test(key)
    return wire.requests.slice(since).filter(isCounted).length
  }
  const head = (blob: Content) =>
    fetch(new URL(`/v2/team/app/blobs/${blob.descriptor.digest}`, registry.address), { method: 'HEAD' })
  const ask = async (path: string, init?: RequestInit) => {
    const answer = await fetch(new URL(`/v2/${path}`, registry.address), init)
    expect([200, 201, 202], `${path}: ${await answer.clone().text()}`).toContain(answer.status)
    await answer.arrayBuffer()
  }
  const pushInSteps = async (blob: Content) => {
    await head(blob)
    const upload = await append(await startUpload(repository), blob.bytes)
    expect((await finish(upload, blob.descriptor.digest)).status).toBe(201)
  }
  const pushAtOnce = async (blob: Content) => {
    const { url } = await startUpload(repository)
    const answer = await fetch(finishUrl(url, blob.descriptor.digest), {
      method: 'PUT',
      body: new Uint8Array(blob.bytes),
    })
    expect(answer.status).toBe(201)
  }
  // The repository, the key that seals addresses: what is asked for once.
  await pushInSteps(layer('first', 20_000))
  return {
    repository,
    countOf,
    head,
    ask,
    pushInSteps,
    pushAtOnce,
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]()
      await wire[Symbol.asyncDispose]()
    },
  }
}

export const layer = (seed: string, size: number): Content => {
  const bytes = randomBytes(seed, size)
  return { bytes, descriptor: { mediaType: mediaTypes.oci.layer, digest: digest(bytes), size } }
}
