/** A server whose bucket is behind a wire, and what its clients see of a store that goes away and comes back. */
import { expect, onTestFinished } from 'vitest'
import { bucketVariables } from './buckets.ts'
import { type Image, image } from './images.ts'
import { pullDigests, pushImage, type Repository } from './push.ts'
import type { S3Engine } from './s3-engine.ts'
import { type S3Proxy, startS3Proxy } from './s3-proxy.ts'
import { startServer, type TestServer } from './server.ts'
import { pause, until } from './until.ts'

export interface WiredServer {
  readonly proxy: S3Proxy
  readonly server: TestServer
  readonly repository: Repository
  readonly variables: Readonly<Record<string, string>>
  ask(path: string, init?: RequestInit): Promise<Response>
  ready(): Promise<number>
}

export async function wired(engine: S3Engine, bucket: string): Promise<WiredServer> {
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
export async function refusal(answer: Response): Promise<object> {
  const { errors } = (await answer.json()) as { errors: readonly { code: string; message: string }[] }
  const [first] = errors
  return { status: answer.status, retry: answer.headers.get('Retry-After'), ...first }
}

export const away = {
  status: 503,
  retry: '10',
  code: 'UNAVAILABLE',
  message: expect.stringMatching(/^storage does not answer as it should now \(\w+\)$/),
}

export const small = (seed: string) => image({ seed, layers: [100, 40_000] })

/** Pushes and pulls until it is told to end, and says how that failed where it did. */
async function traffic(
  repository: Repository,
  who: string,
  acknowledged: { readonly tag: string; readonly pushed: Image }[],
  isOver: () => boolean,
): Promise<readonly string[]> {
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
  return troubles
}

/** What came of the pushes before, meanwhile and after. */
export interface Vanished {
  /** By each client, in whole. */
  readonly acknowledged: readonly number[]
  /** What was acknowledged and is not there. */
  readonly lost: readonly string[]
  /** How requests ended that did not succeed. */
  readonly troubles: readonly string[]
  readonly acknowledgedMeanwhile: number
  /** From when the store was there again until the server said that it is ready, in ms. */
  readonly readyMs: number
}

/** Three push and pull while the store is away for so long. */
export async function vanishing(
  { proxy, repository, ask, ready }: WiredServer,
  forMs: number,
): Promise<Vanished> {
  let over = false
  const acknowledged: { readonly tag: string; readonly pushed: Image }[] = []
  const running = ['a', 'b', 'c'].map(who => traffic(repository, who, acknowledged, () => over))
  const stored = () => proxy.counts()['PUT object'] ?? 0
  await until('some is stored', () => stored() > 60)

  const comeBack = await proxy.vanish()
  await until('it says that it is not ready', async () => (await ready()) === 503)
  const before = acknowledged.length
  expect((await ask('/healthz')).status).toBe(200)
  expect(await refusal(await ask('/v2/faults/bucket/manifests/none'))).toEqual(away)
  expect(await refusal(await ask('/v2/faults/bucket/tags/list'))).toEqual(away)
  await pause(forMs)
  const acknowledgedMeanwhile = acknowledged.length - before
  await comeBack()

  const backMs = performance.now()
  await until('it is ready again', async () => (await ready()) === 200)
  const readyMs = performance.now() - backMs
  const after = stored() + 60
  await until('they push again', () => stored() > after, 20_000)
  over = true
  const troubles = (await Promise.all(running)).flat()
  // A body that was on its way when the store went is cut off, and is never short.
  for (const trouble of troubles) expect(trouble).toMatch(/ answered 503: |terminated|aborted|fetch failed/)
  const lost: string[] = []
  for (const { tag, pushed } of acknowledged) {
    const found = await pullDigests(repository, tag).catch(() => undefined)
    if (found?.top !== pushed.descriptor.digest) lost.push(tag)
  }
  const counts = ['a', 'b', 'c'].map(who => acknowledged.filter(({ tag }) => tag.startsWith(who)).length)
  return { acknowledged: counts, lost, troubles, acknowledgedMeanwhile, readyMs }
}
