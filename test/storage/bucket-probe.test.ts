import { setImmediate } from 'node:timers/promises'
import { describe, expect, it as plainIt } from 'vitest'
import { RegistryError } from '../../oci/errors.ts'
import type { Bucket } from '../../storage/bucket.ts'
import { agedMinutes, type BucketReport, probeBucket } from '../../storage/bucket-probe.ts'
import { usualPatience } from '../../storage/s3-requests.ts'
import { bucketAt, counted, memoryBucket } from '../helpers/buckets.ts'
import { describeEngines } from '../helpers/s3-engine.ts'
import { accessDenied, slowDown } from '../helpers/s3-faults.ts'
import { startS3Proxy } from '../helpers/s3-proxy.ts'
import type { S3WireRequest } from '../helpers/s3-wire.ts'

const flaws = ({ findings }: BucketReport) => findings.filter(({ ok }) => !ok).map(({ name }) => name)
const removal = 'remove if match'
const old = `requests signed ${agedMinutes} minutes ago`
const writes = ['put if absent, 8 at once', 'put if match, 8 at once', 'put if absent', 'put if match']

async function expectTidy(bucket: Bucket, signal: AbortSignal): Promise<void> {
  expect((await bucket.list('', { signal, limit: 10 })).entries).toEqual([])
  expect(await bucket.multiparts('', { signal })).toEqual([])
}

describeEngines(it => {
  it('finds out which conditions the engine keeps', async ({ engine, bucket: name, signal }) => {
    const { bucket, asked } = counted(bucketAt(engine, name))
    const report = await probeBucket(bucket, { signal })
    const requests = Object.values(asked()).reduce((sum, count) => sum + count, 0)
    const isB = engine.name === 'minio'
    expect(report).toMatchObject({
      tier: isB ? 'B' : 'A',
      guarantees: { conditionalWrite: true, conditionalRemove: !isB },
    })
    expect(report.reason).toBeUndefined()
    expect(flaws(report)).toEqual(isB ? [removal] : [])
    expect(requests).toBeLessThan(260)
    await expectTidy(bucket, signal)
  })

  it('finds no conditions kept where none arrive', async ({ engine, bucket: name, signal }) => {
    await using proxy = await startS3Proxy(engine, { ignoresConditions: ({ method }) => method !== 'GET' })
    const report = await probeBucket(bucketAt(proxy, name), { signal })
    expect(report).toMatchObject({
      tier: 'C',
      guarantees: { conditionalWrite: false, conditionalRemove: false },
    })
    expect(flaws(report)).toEqual(expect.arrayContaining([...writes, removal]))
    expect(report.reason).toBeUndefined()
    await expectTidy(bucketAt(engine, name), signal)
  })

  it('is served from only if its clock is ours', async ({ engine, bucket: name, signal }) => {
    await using proxy = await startS3Proxy(engine)
    const bucket = bucketAt(proxy, name, {}, { ...usualPatience, apartMs: Number.POSITIVE_INFINITY })
    for (const [shiftMs, found] of [
      [-180_000, /clock: 1[78]\d s behind ours/],
      [180_000, /clock: 1[78]\d s ahead of ours/],
    ] as const) {
      proxy.shiftDate(shiftMs)
      expect((await probeBucket(bucket, { signal })).reason).toMatch(found)
    }
    proxy.shiftDate(60_000)
    const report = await probeBucket(bucket, { signal })
    expect(report.reason).toBeUndefined()
    expect(report.findings).toContainEqual({
      name: 'clock',
      found: expect.stringMatching(/^[56]\d s ahead of ours$/),
      ok: true,
    })
  })

  it('tries out addresses as clients do, and requests that are old', async ({
    engine,
    bucket: name,
    signal,
  }) => {
    await using proxy = await startS3Proxy(engine)
    const bucket = bucketAt(proxy, name)
    const looked = async () => {
      // Once refused, it knows the right time.
      const signed = { signedMsAgo: agedMinutes * 60_000 }
      const aged = bucketAt(engine, name, signed, { ...usualPatience, attempts: 1 })
      const { findings, noRedirect, reason } = await probeBucket(bucket, { signal }, aged)
      const found = Object.fromEntries(findings.map(({ name, found }) => [name, found]))
      return { address: found['address for clients'], aged: found[old], noRedirect, reason }
    }
    const right = { address: 'as it should be', aged: 'as it should be' }
    expect(await looked()).toEqual(right)
    const addresses = { when: ({ query }: S3WireRequest) => query.has('X-Amz-Signature'), times: 2 }
    const denied = proxy.inject(accessDenied, addresses)
    const refusal = 'answers 403 to who asks for all: set storage.s3.redirect to false'
    expect(await looked()).toEqual({ ...right, address: refusal, noRedirect: refusal })
    denied.stop()
    // What may be otherwise the next time decides nothing.
    proxy.inject(slowDown, addresses)
    expect(await looked()).toEqual({ ...right, address: 'the store answers 503' })
    await expectTidy(bucketAt(engine, name), signal)
  })

  it('says why it cannot be served from', async ({ engine, signal }) => {
    const report = await probeBucket(bucketAt(engine, 'no-such-bucket'), { signal })
    expect(report.reason).toMatch(/^the bucket cannot be used: [^;]*\(NoSuchBucket\)$/)
  })
})

/** Writes go on after a moment in which others look as well. */
const hesitating = (bucket: Bucket): Bucket => ({
  ...bucket,
  async put(key, bytes, { condition, ...options }) {
    const found = await bucket.read(key, options)
    if (condition && ('ifAbsent' in condition ? found : found?.etag !== condition.ifMatch)) return undefined
    await setImmediate()
    return bucket.put(key, bytes, options)
  },
})

/** What is under a key is what was there when it was asked for the last time. */
function lagging<K extends 'read' | 'list'>(bucket: Bucket, method: K): Bucket {
  const answers = new Map<string, unknown>()
  const ask = bucket[method] as (...args: unknown[]) => Promise<unknown>
  return {
    ...bucket,
    async [method](...args: [string]) {
      const before = answers.get(args[0])
      const now = await ask(...args)
      answers.set(args[0], now)
      return answers.size > 0 && before !== undefined ? before : now
    },
  }
}

const unable = () => Promise.reject(Object.assign(new Error('storage cannot do this'), { code: 'ENOTSUP' }))
const unavailable = () => Promise.reject(new RegistryError('STORAGE_UNAVAILABLE', { message: 'slow down' }))
const failingUnderConditions = (bucket: Bucket, fail: () => Promise<never>): Bucket => ({
  ...bucket,
  put: (key, bytes, options) => (options.condition ? fail() : bucket.put(key, bytes, options)),
})

describe('a bucket', () => {
  plainIt('that keeps every promise has no flaw', async ({ signal }) => {
    const bucket = memoryBucket()
    const report = await probeBucket(bucket, { signal })
    expect(flaws(report)).toEqual([])
    expect(report).toMatchObject({ tier: 'A' })
    await expectTidy(bucket, signal)
  })

  plainIt('that lets several win has no conditions', async ({ signal }) => {
    const report = await probeBucket(hesitating(memoryBucket()), { signal })
    expect(flaws(report)).toEqual(expect.arrayContaining(writes.slice(0, 2)))
    expect(flaws(report)).not.toContain(writes[2])
    expect(report).toMatchObject({
      tier: 'C',
      guarantees: { conditionalWrite: false, conditionalRemove: false },
    })
    expect(report.reason).toBeUndefined()
  })

  plainIt('that has no writes under a condition, and says so, has none', async ({ signal }) => {
    const report = await probeBucket(failingUnderConditions(memoryBucket(), unable), { signal })
    expect(report.tier).toBe('C')
    expect(report.reason).toBeUndefined()
  })

  plainIt('that fails under a condition is not taken for one that has none', async ({ signal }) => {
    const { reason } = await probeBucket(failingUnderConditions(memoryBucket(), unavailable), { signal })
    expect(reason).toContain('slow down')
  })

  plainIt.for<[flaw: string, lie: (bucket: Bucket) => Bucket]>([
    ['read after write', bucket => lagging(bucket, 'read')],
    ['list after write', bucket => lagging(bucket, 'list')],
    [
      'order of lists',
      bucket => ({
        ...bucket,
        async list(prefix, options) {
          const page = await bucket.list(prefix, options)
          return { ...page, entries: page.entries.toSorted((a, b) => a.key.localeCompare(b.key)) }
        },
      }),
    ],
    [
      'order of lists',
      bucket => ({
        ...bucket,
        // From it on, not behind it.
        list: (prefix, { after, ...options }) =>
          bucket.list(prefix, { ...options, ...(after && { after: after.slice(0, -1) }) }),
      }),
    ],
    [
      '8 writes of one key at once',
      bucket => {
        const busy = new Set<string>()
        return {
          ...bucket,
          async put(key, ...rest) {
            if (busy.has(key)) return undefined
            busy.add(key)
            await setImmediate()
            busy.delete(key)
            return bucket.put(key, ...rest)
          },
        }
      },
    ],
    ['range', bucket => ({ ...bucket, get: (key, { signal }) => bucket.get(key, { signal }) })],
    ['multipart upload', bucket => ({ ...bucket, startMultipart: unable })],
    [
      'replaced parts',
      bucket => ({
        ...bucket,
        async completeMultipart(upload, whole, options) {
          const parts = (await bucket.parts(upload, options)) ?? []
          return bucket.completeMultipart(upload, { ...whole, parts }, options)
        },
      }),
    ],
    ['unfinished uploads', bucket => ({ ...bucket, multiparts: async () => [] })],
    [
      'clock',
      bucket => ({
        ...bucket,
        async put(...args) {
          const written = await bucket.put(...args)
          return written && { ...written, modifiedMs: written.modifiedMs - 3600_000 }
        },
      }),
    ],
  ])('is not served from without a proper %s', async ([flaw, lie], { signal }) => {
    const bucket = memoryBucket()
    const report = await probeBucket(lie(bucket), { signal })
    expect(flaws(report)).toContain(flaw)
    expect(report.reason).toContain(flaw)
    expect((await bucket.list('', { signal, limit: 10 })).entries).toEqual([])
  })

  plainIt('may ignore the checksum of the whole, and is said to', async ({ signal }) => {
    const bucket = memoryBucket()
    const careless: Bucket = {
      ...bucket,
      completeMultipart: (upload, whole, options) =>
        bucket.completeMultipart(upload, { ...whole, crc32: undefined }, options),
    }
    const report = await probeBucket(careless, { signal })
    expect(flaws(report)).toEqual(['checksum of the whole'])
    expect(report).toMatchObject({ tier: 'A' })
    expect(report.reason).toBeUndefined()
  })

  plainIt('may take requests that are old, and is said to', async ({ signal }) => {
    const bucket = memoryBucket()
    const report = await probeBucket(bucket, { signal }, bucket)
    expect(report.findings).toContainEqual({ name: old, found: 'are accepted', ok: false })
    expect(report).toMatchObject({ tier: 'A' })
    expect(report.reason).toBeUndefined()
    await expectTidy(bucket, signal)
  })

  plainIt('is left as it was when the look at it is given up', async () => {
    const bucket = memoryBucket()
    const giving = new AbortController()
    const silent: Bucket = {
      ...bucket,
      async putPart(_upload, _number, _bytes, { signal }) {
        giving.abort(new Error('given up'))
        throw signal.reason
      },
    }
    await expect(probeBucket(silent, giving)).rejects.toThrow('given up')
    await expectTidy(bucket, AbortSignal.timeout(1000))
  })
})
