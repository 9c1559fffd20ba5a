/** Real S3 stores behind the wire: those that know no conditions, and what faults leave in them. */
import { expect } from 'vitest'
import { bucketAt } from '../helpers/buckets.ts'
import { describeEngines } from '../helpers/s3-engine.ts'
import type { S3Fault } from '../helpers/s3-faults.ts'
import { startS3Proxy } from '../helpers/s3-proxy.ts'
import { s3Requests } from '../helpers/s3-requests.ts'
import { soon } from '../helpers/waiting.ts'

describeEngines(it => {
  const wrong = '"0123456789abcdef0123456789abcdef"'

  it('is a store that knows no conditions', async ({ engine, bucket }) => {
    await using proxy = await startS3Proxy(engine, { ignoresConditions: ({ method }) => method !== 'GET' })
    const s3 = s3Requests(proxy, bucket)
    const statuses = []
    for (const headers of [{ 'if-none-match': '*' }, { 'if-none-match': '*' }, { 'if-match': wrong }])
      statuses.push((await s3.put({ key: 'k k', body: 'x', headers })).status)
    const { headers } = await s3.get({ key: 'k k' })
    const known = await s3.get({ key: 'k k', headers: { 'if-none-match': headers.etag ?? '' } })
    const removed = await s3.remove({ key: 'k k', headers: { 'if-match': wrong } })
    expect([...statuses, known.status, removed.status]).toEqual([200, 200, 200, 304, 204])
    expect((await s3.get({ key: 'k k' })).status).toBe(404)
  })

  it('keeps what else a signature says', async ({ engine, bucket }) => {
    await using proxy = await startS3Proxy(engine, { ignoresConditions: () => true })
    const s3 = s3Requests(proxy, bucket)
    const headers = { 'if-none-match': '*' }
    const late = await s3.put({ key: 'k', body: 'x', headers, at: new Date(Date.now() - 20 * 60_000) })
    expect(late.code).toBe('RequestTimeTooSkewed')
    const hash = { 'x-amz-content-sha256': '0'.repeat(64) }
    expect((await s3.put({ key: 'k', body: 'x', headers: { ...headers, ...hash } })).status).toBe(400)
    expect(await (await fetch(s3.presign({ key: 'k' }))).text()).toContain('NoSuchKey')
  })

  it('passes on that a large object is refused, however often', async ({ engine, bucket }) => {
    await using proxy = await startS3Proxy(engine)
    const large = bucketAt(proxy, bucket)
    const body = (byte: number) => Buffer.alloc(3 * 1024 * 1024, byte)
    const absent = { condition: { ifAbsent: true } } as const
    expect(await large.put('k', body(0), { ...soon(), ...absent })).toBeDefined()
    for (let byte = 1; byte <= 8; byte++)
      expect(await large.put('k', body(byte), { ...soon(), ...absent })).toBeUndefined()
  })

  it.for([
    [{ kind: 'resetAtOnce' }, 'old'],
    [{ kind: 'cutRequest', storeSees: 'reset' }, 'old'],
    [{ kind: 'loseAnswer' }, 'new'],
  ] satisfies [S3Fault, string][])(
    'leaves a real store, after %o, with what is %s',
    async ([fault, left], { engine, bucket }) => {
      await using proxy = await startS3Proxy(engine)
      const s3 = s3Requests(proxy, bucket)
      await s3.put({ key: 'k', body: 'old' })
      proxy.inject(fault)
      await expect(s3.put({ key: 'k', body: 'new' })).rejects.toThrow()
      expect((await s3.get({ key: 'k' })).text).toBe(left)
      expect(proxy.counts()).toEqual({ 'PUT object': 2, 'GET object': 1 })
    },
  )
})
