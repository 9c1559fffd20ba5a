/** What a registry over a bucket asks of it, counted where it leaves this process. */
import { expect } from 'vitest'
import { bucketStore } from '../../storage/bucket-store.ts'
import { partBuffers } from '../../storage/part-buffers.ts'
import { s3Bucket } from '../../storage/s3-bucket.ts'
import { setAccess } from '../helpers/access.ts'
import { type Content, digest, image, mediaTypes, randomBytes } from '../helpers/images.ts'
import { startRegistry } from '../helpers/registry.ts'
import { describeEngines, type S3Engine } from '../helpers/s3-engine.ts'
import { startS3Proxy } from '../helpers/s3-proxy.ts'
import type { S3WireRequest } from '../helpers/s3-wire.ts'
import { append, finish, finishUrl, startUpload } from '../helpers/upload.ts'

const partBytes = 16 * 1024 * 1024

describeEngines(it => {
  /**
   * A registry, and a way to count what an act costs, but for what is asked or written by time, however much is done: who may
   * do what, which repositories there are, and the audit; and the removal of what is not needed any more, which nobody waits for.
   */
  async function counted(engine: S3Engine, bucket: string) {
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

  const layer = (seed: string, size: number): Content => {
    const bytes = randomBytes(seed, size)
    return { bytes, descriptor: { mediaType: mediaTypes.oci.layer, digest: digest(bytes), size } }
  }

  it('pushes a layer in at most five requests, and a small blob in two', async ({ engine, bucket }) => {
    await using counting = await counted(engine, bucket)
    const { countOf, head, pushInSteps, pushAtOnce } = counting
    expect(await countOf(() => pushInSteps(layer('steps', 100_000)))).toBeLessThanOrEqual(5)
    const once = layer('once', 100_000)
    expect(
      await countOf(async () => {
        await head(once)
        await pushAtOnce(once)
      }),
    ).toBeLessThanOrEqual(5)
    expect(await countOf(() => pushAtOnce(layer('small', 16 * 1024)))).toBeLessThanOrEqual(2)
  })

  it('commits a large layer in as many requests as a larger one: 1 GiB takes 75 at the most', async ({
    engine,
    bucket,
  }) => {
    await using counting = await counted(engine, bucket)
    const besideParts = []
    for (const parts of [3, 8]) {
      const count = await counting.countOf(() =>
        counting.pushInSteps(layer(`large ${parts}`, parts * partBytes)),
      )
      besideParts.push(count - parts)
    }
    expect(besideParts[0]).toBe(besideParts[1])
    const removed = 1
    expect(64 + (besideParts[0] ?? Number.NaN) + removed).toBeLessThanOrEqual(75)
  })

  it('pushes and reads manifests in what they cost', async ({ engine, bucket }) => {
    await using counting = await counted(engine, bucket)
    const { countOf, ask, pushInSteps } = counting
    const made = image({ seed: 'ten', layers: Array.from({ length: 10 }, (_, at) => 20_000 + at) })
    for (const blob of made.blobs) await pushInSteps(blob)
    // What was asked for just now is known; 13 requests are not.
    for (const { descriptor } of made.blobs)
      await ask(`team/app/blobs/${descriptor.digest}`, { method: 'HEAD' })
    const put = (tag: string) =>
      ask(`team/app/manifests/${tag}`, {
        method: 'PUT',
        headers: { 'Content-Type': made.descriptor.mediaType },
        body: new Uint8Array(made.bytes),
      })
    expect(await countOf(() => put('one'))).toBeLessThanOrEqual(2)
    expect(await countOf(() => put('one'))).toBeLessThanOrEqual(2)
    expect(await countOf(() => ask('team/app/manifests/one'))).toBe(1)
    expect(await countOf(() => ask(`team/app/manifests/${made.descriptor.digest}`))).toBe(0)
    // Longer than what was read is taken for what is there.
    await new Promise(wake => setTimeout(wake, 2_200))
    expect(await countOf(() => ask('team/app/manifests/one'))).toBeLessThanOrEqual(2)
    expect(await countOf(() => ask('team/app/tags/list?n=100'))).toBe(1)
    const [first, second] = made.blobs
    const mount = (blob: Content | undefined) =>
      ask(`team/other/blobs/uploads/?mount=${blob?.descriptor.digest}&from=team/app`, { method: 'POST' })
    await mount(first)
    expect(await countOf(() => mount(second))).toBeLessThanOrEqual(3)
  })
})
