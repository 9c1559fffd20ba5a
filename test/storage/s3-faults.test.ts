import { buffer } from 'node:stream/consumers'
import { expect, onTestFinished, vi } from 'vitest'
import type { Bucket, MultipartId, Part } from '../../storage/bucket.ts'
import { s3Bucket } from '../../storage/s3-bucket.ts'
import type { Patience } from '../../storage/s3-requests.ts'
import { randomBytes } from '../helpers/images.ts'
import { describeEngines, type S3Engine } from '../helpers/s3-engine.ts'
import { internalError, type S3Fault, slowDown } from '../helpers/s3-faults.ts'
import { type S3Proxy, startS3Proxy } from '../helpers/s3-proxy.ts'
import { until } from '../helpers/until.ts'
import { fault, io, soon } from '../helpers/waiting.ts'

const patience = { attempts: 3, connectMs: 500, silenceMs: 400 }
const bytes = randomBytes('fault', 200_000)

/** A bucket whose requests pass a wire. */
async function wired(
  engine: S3Engine,
  bucket: string,
  patient: Patience = patience,
): Promise<AsyncDisposable & { wire: S3Proxy; direct: Bucket; bucket: Bucket }> {
  const wire = await startS3Proxy(engine)
  const settings = { bucket, prefix: 'p', region: engine.region, pathStyle: true, credentials: engine }
  const direct = s3Bucket({ ...settings, endpoint: engine.endpoint.href })
  const through = s3Bucket({ ...settings, endpoint: wire.endpoint.href }, patient)
  return {
    wire,
    direct,
    bucket: through,
    async [Symbol.asyncDispose]() {
      direct.close()
      through.close()
      await wire[Symbol.asyncDispose]()
    },
  }
}

interface Story {
  /** What must be there before. */
  readonly given?: (bucket: Bucket) => Promise<unknown>
  readonly act: (bucket: Bucket, given: unknown) => Promise<unknown>
  readonly expected: unknown
}

const etagOf = async (bucket: Bucket) => (await bucket.put('x/record', bytes, soon()))?.etag ?? ''

async function begun(bucket: Bucket): Promise<{ id: MultipartId; part: Part | undefined }> {
  const id = { key: 'd/content', uploadId: await bucket.startMultipart('d/content', io) }
  return { id, part: await bucket.putPart(id, 1, bytes, io) }
}

/** Each says what it is to end with, whatever happens to its first request. */
const stories: Readonly<Record<string, Story>> = {
  'a read': {
    given: etagOf,
    act: async bucket => (await bucket.read('x/record', io))?.bytes.equals(bytes),
    expected: true,
  },
  'a read of what is not there': { act: bucket => bucket.read('x/none', io), expected: undefined },
  'a record that is made': {
    act: async bucket => [
      (await bucket.put('x/record', bytes, soon({ ifAbsent: true }))) !== undefined,
      (await bucket.read('x/record', io))?.bytes.equals(bytes),
    ],
    expected: [true, true],
  },
  'a record that is replaced': {
    given: etagOf,
    act: async (bucket, etag) =>
      (await bucket.put('x/record', Buffer.from('new'), soon({ ifMatch: String(etag) }))) !== undefined,
    expected: true,
  },
  'a record that somebody else has replaced': {
    given: async bucket => {
      const etag = await etagOf(bucket)
      await bucket.put('x/record', Buffer.from('theirs'), soon())
      return etag
    },
    act: async (bucket, etag) => [
      // Where an attempt may have been done: they may have replaced ours.
      await bucket.put('x/record', Buffer.from('ours'), soon({ ifMatch: String(etag) })).then(
        written => (written ? 'done' : 'refused'),
        ({ fault: said }) => said,
      ),
      (await bucket.read('x/record', io))?.bytes.toString(),
    ],
    expected: [expect.toBeOneOf(['refused', 'STORAGE_UNAVAILABLE']), 'theirs'],
  },
  'a removal': {
    given: etagOf,
    act: async bucket => [await bucket.remove('x/record', soon()), await bucket.read('x/record', io)],
    expected: [true, undefined],
  },
  'a list': {
    given: etagOf,
    act: async bucket => (await bucket.list('x/', { ...io, limit: 10 })).entries,
    expected: [{ key: 'x/record', size: bytes.length }],
  },
  'a multipart upload that begins': {
    act: async bucket => typeof (await bucket.startMultipart('d/content', io)),
    expected: 'string',
  },
  'a part': {
    given: begun,
    act: async (bucket, given) => {
      const { id, part } = given as Awaited<ReturnType<typeof begun>>
      return [
        (await bucket.putPart(id, 1, bytes, io))?.etag === part?.etag,
        (await bucket.parts(id, io))?.length,
      ]
    },
    expected: [true, 1],
  },
  'a multipart upload that is completed': {
    given: begun,
    act: async (bucket, given) => {
      const { id, part } = given as Awaited<ReturnType<typeof begun>>
      const whole = { parts: part ? [part] : [], crc32: part?.crc32 }
      const done = await bucket.completeMultipart(id, whole, soon())
      const found = await bucket.get(id.key, io)
      return [done, found && (await buffer(found.stream)).equals(bytes)]
    },
    expected: [true, true],
  },
  'a multipart upload that is aborted': {
    given: begun,
    act: async (bucket, given) => {
      const { id } = given as Awaited<ReturnType<typeof begun>>
      await bucket.abortMultipart(id, io)
      return bucket.parts(id, io)
    },
    expected: undefined,
  },
}

const mishaps: Readonly<Record<string, { readonly fault: S3Fault; readonly times: number }>> = {
  'an internal error': { fault: internalError, times: 1 },
  'two orders to slow down': { fault: slowDown, times: 2 },
  'a reset': { fault: { kind: 'resetAtOnce' }, times: 1 },
  'a reset in the middle of what is sent': { fault: { kind: 'cutRequest', storeSees: 'reset' }, times: 1 },
  'an end in the middle of what is sent': { fault: { kind: 'cutRequest', storeSees: 'end' }, times: 1 },
  silence: { fault: { kind: 'hang' }, times: 1 },
  'an answer that is lost': { fault: { kind: 'loseAnswer' }, times: 1 },
  'an answer that is late': { fault: { kind: 'lateAnswer', ms: 2 * patience.silenceMs }, times: 1 },
  'an effect that is late': { fault: { kind: 'lateEffect' }, times: 1 },
  'an answer that breaks off': { fault: { kind: 'cutAnswer' }, times: 1 },
}

describeEngines(it => {
  for (const [title, { given, act, expected }] of Object.entries(stories))
    it.concurrent.for(Object.entries(mishaps))(
      `ends ${title} well after %s`,
      async ([, { fault: mishap, times }], { engine, bucket }) => {
        await using place = await wired(engine, bucket)
        const before = await given?.(place.direct)
        const injected = place.wire.inject(mishap, { times })
        expect(await act(place.bucket, before)).toEqual(expected)
        expect(injected.happened).toBe(times)
        expect(place.wire.landed).toHaveLength(mishap.kind === 'lateEffect' ? 1 : 0)
      },
    )

  it.concurrent.for([internalError, slowDown, { kind: 'resetAtOnce' }, { kind: 'hang' }] satisfies S3Fault[])(
    'gives up in bounded time where the store always answers with %o, and says so',
    async (mishap, { engine, bucket }) => {
      await using place = await wired(engine, bucket)
      place.wire.inject(mishap, { times: Number.POSITIVE_INFINITY })
      const refused = fault('STORAGE_UNAVAILABLE')
      await expect(place.bucket.read('x/record', io)).rejects.toMatchObject(refused)
      await expect(place.bucket.put('x/record', bytes, soon({ ifAbsent: true }))).rejects.toMatchObject(
        refused,
      )
      expect(place.wire.requests.length).toBe(2 * patience.attempts)
    },
  )

  it('works again when a store that had vanished is back', async ({ engine, bucket }) => {
    await using place = await wired(engine, bucket)
    await place.bucket.put('x/record', bytes, soon())
    const comeBack = await place.wire.vanish()
    await expect(place.bucket.read('x/record', io)).rejects.toMatchObject(fault('STORAGE_UNAVAILABLE'))
    await comeBack()
    expect((await place.bucket.read('x/record', io))?.bytes.equals(bytes)).toBe(true)
  })

  it('knows what it has written, whatever it is told of two attempts more', async ({ engine, bucket }) => {
    await using place = await wired(engine, bucket)
    const etag = await etagOf(place.direct)
    const conflict = { ...slowDown, status: 409, code: 'ConditionalRequestConflict' } as const
    const when = { when: ({ method }: { readonly method: string }) => method === 'PUT' }
    place.wire.inject({ kind: 'loseAnswer' }, when)
    place.wire.inject(conflict, when)
    const written = await place.bucket.put('x/record', Buffer.from('ours'), soon({ ifMatch: etag }))
    expect(written?.etag).toBe((await place.direct.read('x/record', io))?.etag)
    expect(place.wire.requests.map(({ status }) => status)).toEqual([0, 409, 412, 200])
  })

  it('says neither yes nor no of what it has written, and somebody else has replaced meanwhile', async ({
    engine,
    bucket,
  }) => {
    await using place = await wired(engine, bucket, { ...patience, silenceMs: 3_000 })
    const etag = await etagOf(place.direct)
    place.wire.inject({ kind: 'lateAnswer', ms: 60_000 })
    const writing = place.bucket.put('x/record', Buffer.from('ours'), soon({ ifMatch: etag }))
    const ended = writing.catch(({ fault: said }) => said)
    await until('it has been done', async () => (await place.direct.read('x/record', io))?.etag !== etag)
    const ours = (await place.direct.read('x/record', io))?.etag ?? ''
    await place.direct.put('x/record', Buffer.from('theirs'), soon({ ifMatch: ours }))
    expect(await ended).toBe('STORAGE_UNAVAILABLE')
    expect(place.wire.requests.map(({ status }) => status)).toEqual([0, 412, 200])
  })

  it('says no of what it cannot have written, as something else has stood there for long', async ({
    engine,
    bucket,
  }) => {
    await using place = await wired(engine, bucket)
    await etagOf(place.direct)
    const laterMs = 10 * 60_000
    const { now } = Date
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + laterMs)
    onTestFinished(() => clock.mockRestore())
    place.wire.shiftDate(laterMs)
    place.wire.inject({ kind: 'loseAnswer' })
    expect(
      await place.bucket.put('x/record', Buffer.from('ours'), soon({ ifMatch: '"other"' })),
    ).toBeUndefined()
    expect(place.wire.requests.map(({ status }) => status)).toEqual([0, 412, 200])
  })

  it.for([
    [-180_000, /clock of storage is 1[78]\d s behind ours: set that of this machine by NTP$/],
    [180_000, /clock of storage is 1[78]\d s ahead of ours: set that of this machine by NTP$/],
  ] as const)(
    'changes nothing while its clock is %d ms from ours',
    async ([shiftMs, why], { engine, bucket }) => {
      await using place = await wired(engine, bucket)
      const etag = await etagOf(place.bucket)
      const { id, part } = await begun(place.bucket)
      place.wire.shiftDate(shiftMs)
      const read = async () => (await place.bucket.read('x/record', io))?.etag
      // It shows in what is read.
      expect(await read()).toBe(etag)
      const since = place.wire.requests.length
      const refusal = { ...fault('STORAGE_UNAVAILABLE'), message: expect.stringMatching(why) }
      const whole = { parts: part ? [part] : [], crc32: part?.crc32 }
      for (const change of [
        place.bucket.put('x/record', Buffer.from('new'), soon({ ifMatch: etag })),
        place.bucket.remove('x/record', soon()),
        place.bucket.completeMultipart(id, whole, soon()),
      ])
        await expect(change).rejects.toMatchObject(refusal)
      expect(place.wire.requests.length).toBe(since)
      place.wire.shiftDate(0)
      expect(await read()).toBe(etag)
      expect(await place.bucket.remove('x/record', soon())).toBe(true)
    },
  )

  it('sends nothing after the deadline, however often it has to try', async ({ engine, bucket }) => {
    await using place = await wired(engine, bucket)
    place.wire.inject({ kind: 'hang' }, { times: 1 })
    const late = { ...io, deadlineMs: Date.now() + patience.silenceMs / 2 }
    await expect(place.bucket.put('x/late', bytes, late)).rejects.toMatchObject(fault('STORAGE_UNAVAILABLE'))
    expect(place.wire.requests.length).toBe(1)
    expect(await place.direct.read('x/late', io)).toBeUndefined()
  })

  it('stops asking when nobody waits any more', async ({ engine, bucket }) => {
    await using place = await wired(engine, bucket)
    place.wire.inject({ kind: 'hang' }, { times: Number.POSITIVE_INFINITY })
    const stopping = new AbortController()
    const reading = place.bucket.read('x/record', { signal: stopping.signal })
    stopping.abort(new Error('stopping'))
    await expect(reading).rejects.toThrow('stopping')
    expect(place.wire.requests.length).toBeLessThan(2)
  })
})
