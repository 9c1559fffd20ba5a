/** What a registry over a bucket asks of it. */
import { expect } from 'vitest'
import { countedRegistry as counted, layer, partBytes } from '../helpers/counted-registry.ts'
import { type Content, image } from '../helpers/images.ts'
import { describeEngines } from '../helpers/s3-engine.ts'

describeEngines(it => {
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
