/** A server whose bucket is behind a wire that fails: what its clients see, and that nothing is lost. */
import { kill } from 'node:process'
import { expect } from 'vitest'
import { formatKey } from '../../storage/layout.ts'
import { accepts } from '../helpers/accepts.ts'
import { content, fetched } from '../helpers/blob.ts'
import { bucketAt } from '../helpers/buckets.ts'
import { isAlive, primaryOf } from '../helpers/processes.ts'
import { pullDigests, pushImage } from '../helpers/push.ts'
import { describeEngines } from '../helpers/s3-engine.ts'
import { slowDown } from '../helpers/s3-faults.ts'
import { startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'
import { finishUrl, slowRequest, startUpload } from '../helpers/upload.ts'
import { away, refusal, small, vanishing, wired } from '../helpers/vanishing.ts'
import { io, soon } from '../helpers/waiting.ts'

const MiB = 1024 * 1024
const always = { times: Number.POSITIVE_INFINITY }

describeEngines(it => {
  it('loses nothing when the store is away for seconds, and goes on by itself', async ({
    engine,
    bucket,
  }) => {
    const { acknowledged, lost, troubles } = await vanishing(await wired(engine, bucket), 2_000)
    expect(acknowledged.every(count => count > 1)).toBe(true)
    expect(lost).toEqual([])
    expect(troubles.some(trouble => trouble.includes('answered 503'))).toBe(true)
  }, 60_000)

  it('refuses with when to come again where the store wants to be left alone', async ({ engine, bucket }) => {
    const { proxy, repository, ask, ready } = await wired(engine, bucket)
    await pushImage(repository, small('before'), 'before')
    const busy = proxy.inject(slowDown, always)
    const { url } = await startUpload(repository).catch(() => ({ url: undefined }))
    const [tag, list, push, readiness] = await Promise.all([
      ask('/v2/faults/bucket/manifests/before'),
      ask('/v2/_catalog'),
      ask('/v2/faults/bucket/manifests/other', {
        method: 'PUT',
        headers: { 'Content-Type': small('before').descriptor.mediaType },
        body: new Uint8Array(small('before').bytes),
      }),
      ready(),
    ])
    for (const each of [tag, list, push]) expect(await refusal(each)).toEqual(away)
    expect(readiness).toBe(503)
    if (url) {
      const { bytes, digest } = content('busy', 40_000)
      const put = await fetch(finishUrl(url, digest), { method: 'PUT', body: new Uint8Array(bytes) })
      expect(await refusal(put)).toEqual(away)
    }
    busy.stop()
    expect(await ready()).toBe(200)
    await pushImage(repository, small('after'), 'after')
    for (const each of ['before', 'after'])
      expect((await pullDigests(repository, each)).top).toBe(small(each).descriptor.digest)
  }, 60_000)

  it('is not ready where the bucket is a registry no more', async ({ engine, bucket }) => {
    const { ask, ready } = await wired(engine, bucket)
    expect(await ready()).toBe(200)
    const direct = bucketAt(engine, bucket)
    const format = await direct.read(formatKey, io)
    await direct.remove(formatKey, soon())
    const answer = await ask('/readyz')
    expect([answer.status, await answer.json()]).toEqual([
      503,
      { status: 'unavailable', storage: 'format.json in the bucket is gone: restore it from a backup' },
    ])
    await direct.put(formatKey, format?.bytes ?? Buffer.alloc(0), soon())
    expect(await ready()).toBe(200)
  }, 60_000)

  it('says soon that it is not ready where the store takes requests and does not answer', async ({
    engine,
    bucket,
  }) => {
    const { proxy, ask } = await wired(engine, bucket)
    proxy.inject({ kind: 'hang' }, always)
    const answer = await ask('/readyz')
    expect([answer.status, await answer.json()]).toEqual([
      503,
      { status: 'unavailable', storage: 'storage does not answer within 3 s' },
    ])
  })

  it('answers though the store hangs once', async ({ engine, bucket }) => {
    const { proxy, repository } = await wired(engine, bucket)
    await pushImage(repository, small('hang'), 'hang')
    const hang = proxy.inject({ kind: 'hang' }, { when: ({ kind }) => kind === 'PUT object' })
    const read = proxy.inject({ kind: 'hang' }, { when: ({ key }) => key.startsWith('t/') })
    const [pulled] = await Promise.all([
      pullDigests(repository, 'hang'),
      pushImage(repository, small('more'), 'more'),
    ])
    expect(pulled.top).toBe(small('hang').descriptor.digest)
    expect([hang.happened, read.happened]).toEqual([1, 1])
    expect((await pullDigests(repository, 'more')).top).toBe(small('more').descriptor.digest)
  }, 60_000)

  it('finishes the upload under way when it is told to stop', async ({ engine, bucket }) => {
    const { proxy, server, repository, variables } = await wired(engine, bucket)
    const blob = content('drain', 20 * MiB)
    const { url } = await startUpload(repository)
    await using put = await slowRequest('PUT', finishUrl(url, blob.digest), blob.bytes.length)
    await put.send(blob.bytes.subarray(0, 17 * MiB))
    await until('a part is stored', () => proxy.counts()['PUT part'] !== undefined)
    // Whoever stops it by `server.stop` kills it after a while, which a busy machine may need.
    kill(primaryOf(server), 'SIGTERM')
    await until('new connections are refused', async () => !(await accepts(server.address)))
    await put.send(blob.bytes.subarray(17 * MiB))
    expect(await put.answer).toMatch(/^HTTP\/1\.1 201 /)
    await until('it has ended', () => !isAlive(primaryOf(server)), 30_000)
    expect(await server.stop()).toBe(0)
    await using again = await startServer({ env: variables })
    expect(await fetched({ ...repository, address: again.address }, blob)).toBe(blob.digest)
  }, 60_000)
})
