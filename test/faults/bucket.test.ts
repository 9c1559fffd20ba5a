/** A server whose bucket is behind a wire that fails: what its clients see, and that nothing is lost. */
import { expect, onTestFinished } from 'vitest'
import { content, fetched } from '../helpers/blob.ts'
import { bucketVariables } from '../helpers/buckets.ts'
import { type Image, image } from '../helpers/images.ts'
import { pullDigests, pushImage, type Repository } from '../helpers/push.ts'
import { describeEngines, type S3Engine } from '../helpers/s3-engine.ts'
import { slowDown } from '../helpers/s3-faults.ts'
import { type S3Proxy, startS3Proxy } from '../helpers/s3-proxy.ts'
import { startServer, type TestServer } from '../helpers/server.ts'
import { pause, until } from '../helpers/until.ts'
import { finishUrl, slowRequest, startUpload } from '../helpers/upload.ts'

const MiB = 1024 * 1024
const always = { times: Number.POSITIVE_INFINITY }

interface Wired {
  readonly proxy: S3Proxy
  readonly server: TestServer
  readonly repository: Repository
  readonly variables: Readonly<Record<string, string>>
  ask(path: string, init?: RequestInit): Promise<Response>
  ready(): Promise<number>
}

async function wired(engine: S3Engine, bucket: string): Promise<Wired> {
  const proxy = await startS3Proxy(engine)
  const variables = {
    ...bucketVariables(proxy, bucket),
    SLIPWAY_STORAGE_S3_REDIRECT: 'false',
    SLIPWAY_WORKERS: '2',
  }
  const server = await startServer({ env: variables })
  onTestFinished(async () => {
    await server[Symbol.asyncDispose]()
    await proxy[Symbol.asyncDispose]()
  })
  const ask = (path: string, init?: RequestInit) => fetch(new URL(path, server.address), init)
  return {
    proxy,
    server,
    repository: { address: server.address, name: 'faults/bucket' },
    variables,
    ask,
    ready: async () => {
      const answer = await ask('/readyz')
      await answer.bytes()
      return answer.status
    },
  }
}

/** The end of a request that met a store that is away: done, or refused with when to come again and why. */
async function refusal(answer: Response): Promise<object> {
  const { errors } = (await answer.json()) as { errors: readonly { code: string; message: string }[] }
  const [first] = errors
  return { status: answer.status, retry: answer.headers.get('Retry-After'), ...first }
}

const away = {
  status: 503,
  retry: '10',
  code: 'UNAVAILABLE',
  message: expect.stringMatching(/^storage does not answer as it should now \(\w+\)$/),
}

const small = (seed: string) => image({ seed, layers: [100, 40_000] })

/** Pushes and pulls until it is told to end; which images were acknowledged, and what else was answered. */
async function traffic(repository: Repository, who: string, isOver: () => boolean) {
  const acknowledged: { readonly tag: string; readonly pushed: Image }[] = []
  const troubles: string[] = []
  for (let at = 0; !isOver(); at++) {
    const tag = `${who}-${at}`
    const pushed = small(tag)
    try {
      await pushImage(repository, pushed, tag)
      acknowledged.push({ tag, pushed })
      await pullDigests(repository, tag)
    } catch (error) {
      troubles.push(error instanceof Error ? error.message : String(error))
    }
  }
  return { acknowledged, troubles }
}

describeEngines(
  it => {
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

    it('loses nothing when the store is away for seconds, and goes on by itself', async ({
      engine,
      bucket,
    }) => {
      const { proxy, repository, ask, ready } = await wired(engine, bucket)
      let over = false
      const running = ['a', 'b', 'c'].map(who => traffic(repository, who, () => over))
      await until('some is stored', () => (proxy.counts()['PUT object'] ?? 0) > 30)

      const comeBack = await proxy.vanish()
      await until('it says that it is not ready', async () => (await ready()) === 503)
      expect((await ask('/healthz')).status).toBe(200)
      expect(await refusal(await ask('/v2/faults/bucket/manifests/none'))).toEqual(away)
      expect(await refusal(await ask('/v2/faults/bucket/tags/list'))).toEqual(away)
      await pause(2_000)
      await comeBack()

      await until('it is ready again', async () => (await ready()) === 200)
      const before = proxy.counts()['PUT object'] ?? 0
      await until('they push again', () => (proxy.counts()['PUT object'] ?? 0) > before + 30, 20_000)
      over = true
      const ended = await Promise.all(running)
      expect(ended.every(({ acknowledged }) => acknowledged.length > 1)).toBe(true)
      for (const { tag, pushed } of ended.flatMap(({ acknowledged }) => acknowledged))
        expect((await pullDigests(repository, tag)).top).toBe(pushed.descriptor.digest)
      const troubles = ended.flatMap(each => each.troubles)
      // A body that was on its way when the store went is cut off, and is never short.
      for (const trouble of troubles)
        expect(trouble).toMatch(/ answered 503: |terminated|aborted|fetch failed/)
      expect(troubles.some(trouble => trouble.includes('answered 503'))).toBe(true)
    }, 60_000)

    it('refuses with when to come again where the store wants to be left alone', async ({
      engine,
      bucket,
    }) => {
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
      const stopped = server.stop()
      await until('new connections are refused', () =>
        fetch(new URL('/healthz', server.address), { headers: { Connection: 'close' } }).then(
          () => false,
          () => true,
        ),
      )
      await put.send(blob.bytes.subarray(17 * MiB))
      expect(await put.answer).toMatch(/^HTTP\/1\.1 201 /)
      expect(await stopped).toBe(0)
      await using again = await startServer({ env: variables })
      expect(await fetched({ ...repository, address: again.address }, blob)).toBe(blob.digest)
    }, 60_000)
  },
  ['versitygw'],
)
