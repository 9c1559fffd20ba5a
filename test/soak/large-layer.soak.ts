/** What a layer of a GiB costs in requests to the store. */
import { expect } from 'vitest'
import { countedRegistry, layer } from '../helpers/counted-registry.ts'
import { remark } from '../helpers/reporter.ts'
import { describeEngines } from '../helpers/s3-engine.ts'

describeEngines(it => {
  it('pushes a layer of a GiB in at most 75 requests', async ({ engine, bucket, annotate }) => {
    await using counting = await countedRegistry(engine, bucket)
    const large = layer('GiB', 2 ** 30)
    const count = await counting.countOf(() => counting.pushInSteps(large))
    await annotate(`${engine.name}: ${count} requests for a layer of 1 GiB`, remark)
    expect(count).toBeGreaterThanOrEqual(64)
    expect(count).toBeLessThanOrEqual(75)
  })
})
