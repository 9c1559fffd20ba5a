/** Those who take content slowly, and those who ask for anything else meanwhile. */
import type { Readable } from 'node:stream'
import { expect, it as plainIt } from 'vitest'
import { s3Bucket } from '../../storage/s3-bucket.ts'
import { readersOf } from '../../storage/s3-readers.ts'
import { randomBytes } from '../helpers/images.ts'
import { describeEngines } from '../helpers/s3-engine.ts'
import { startS3Proxy } from '../helpers/s3-proxy.ts'
import { fault, io, soon } from '../helpers/waiting.ts'

/** More than stays on the way between the store and whoever does not read. */
const large = randomBytes('large', 16 * 1024 * 1024)
const most = 256

describeEngines(
  it => {
    it('leaves others able to ask, however many read slowly', async ({ engine, bucket: name }) => {
      const patience = { attempts: 1, connectMs: 5_000, silenceMs: 8_000 }
      const bucket = s3Bucket(
        {
          bucket: name,
          region: engine.region,
          pathStyle: true,
          credentials: engine,
          endpoint: engine.endpoint.href,
        },
        patience,
      )
      const open: Readable[] = []
      // What nobody takes anything from for a while is asked for again later, and holds no connection until then.
      const slowly = setInterval(() => {
        for (const stream of open) stream.read()
      }, patience.silenceMs / 4)
      try {
        await bucket.put('d/large', large, soon())
        await bucket.put('t/latest', Buffer.from('tag'), soon())
        const get = async () => (await bucket.get('d/large', io))?.stream
        for (let count = 0; count < most; count += 32) {
          const some = await Promise.all(Array.from({ length: 32 }, get))
          open.push(...some.filter(stream => stream !== undefined))
        }
        expect(open).toHaveLength(most)
        expect((await bucket.read('t/latest', io))?.bytes.toString()).toBe('tag')
        await expect(get()).rejects.toMatchObject({
          ...fault('STORAGE_UNAVAILABLE'),
          message: 'too much is being read from storage at once',
        })
        const waiting = get()
        open.shift()?.destroy()
        const next = await waiting
        expect(next).toBeDefined()
        if (next) open.push(next)
      } finally {
        clearInterval(slowly)
        for (const stream of open) stream.destroy()
        bucket.close()
      }
    }, 60_000)

    it('gives back the turn of what ends, fails, or is not there', async ({ engine, bucket: name }) => {
      await using wire = await startS3Proxy(engine)
      const settings = { bucket: name, region: engine.region, pathStyle: true, credentials: engine }
      const patience = { attempts: 1, connectMs: 1_000, silenceMs: 2_000 }
      const bucket = s3Bucket({ ...settings, endpoint: wire.endpoint.href }, patience)
      try {
        await bucket.put('d/small', Buffer.from('small'), soon())
        const rounds = Array.from({ length: most + 1 }, (_, at) => at)
        for (const _ of rounds) expect(await bucket.get('d/none', io)).toBeUndefined()
        for (const _ of rounds) (await bucket.get('d/small', io))?.stream.destroy()
        for (const _ of rounds) for await (const _ of (await bucket.get('d/small', io))?.stream ?? []);
        wire.inject({ kind: 'resetAtOnce' }, { times: most + 1 })
        for (const _ of rounds) await expect(bucket.get('d/small', io)).rejects.toThrow('ECONNRESET')
        expect(await bucket.get('d/small', io)).toBeDefined()
      } finally {
        bucket.close()
      }
    }, 60_000)
  },
  ['versitygw'],
)

plainIt('lets in by turns, but nobody who has gone', async () => {
  const readers = readersOf(1, 60_000)
  const gone = new AbortController()
  const order: string[] = []
  await readers.enter(io)
  const leaving = readers.enter(gone)
  const second = readers.enter(io).then(() => order.push('second'))
  const third = readers.enter(io).then(() => order.push('third'))
  gone.abort(new Error('gone'))
  await expect(leaving).rejects.toThrow('gone')
  readers.leave()
  await second
  expect(order).toEqual(['second'])
  readers.leave()
  await third
  readers.leave()
  await readers.enter(io)
})
