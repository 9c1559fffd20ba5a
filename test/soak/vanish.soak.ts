/** A store that is away for a minute, while clients go on. */
import { expect } from 'vitest'
import { remark } from '../helpers/reporter.ts'
import { describeEngines } from '../helpers/s3-engine.ts'
import { vanishing, wired } from '../helpers/vanishing.ts'

const minute = 60_000

describeEngines(it => {
  it('loses nothing when the store is away for a minute, and goes on by itself', async ({
    engine,
    bucket,
    annotate,
  }) => {
    const seen = await vanishing(await wired(engine, bucket), minute)
    const refused = seen.troubles.filter(trouble => trouble.includes('answered 503')).length
    await annotate(
      `${engine.name}: away for 60 s: ${seen.acknowledged.reduce((sum, count) => sum + count)} pushes acknowledged ` +
        `(${seen.acknowledgedMeanwhile} meanwhile), ${seen.lost.length} lost; ${refused} of ${seen.troubles.length} ` +
        `troubles a 503; ready ${Math.round(seen.readyMs)} ms after the store was back`,
      remark,
    )
    expect(seen.acknowledged.every(count => count > 1)).toBe(true)
    expect(seen.lost).toEqual([])
    expect(refused).toBeGreaterThan(10)
  })
})
