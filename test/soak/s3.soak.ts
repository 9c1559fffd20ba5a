import { expect, it } from 'vitest'
import { said } from '../helpers/node-figures.ts'
import { nodeLoop } from '../helpers/node-loop.ts'
import { remark } from '../helpers/reporter.ts'
import { type EngineName, startEngine } from '../helpers/s3-engine.ts'

/** SOAK_ENGINE, SOAK_MINUTES, SOAK_CLIENTS and SOAK_NODES make it another one. */
const { SOAK_ENGINE = 'versitygw', SOAK_MINUTES = '20', SOAK_CLIENTS = '20', SOAK_NODES = '3' } = process.env

it(
  'loses nothing on several nodes of which one is killed again and again',
  async ({ annotate }) => {
    await using engine = await startEngine(SOAK_ENGINE as EngineName)
    const figures = await nodeLoop(engine, {
      nodes: Number(SOAK_NODES),
      clients: Number(SOAK_CLIENTS),
      forMs: Number(SOAK_MINUTES) * 60_000,
      killEveryMs: 20_000,
    })
    for (const line of said(figures)) await annotate(line, remark)
    expect(figures.lost).toEqual([])
    for (const { thirds } of figures.resident) {
      const [middle, last] = thirds
      expect(Math.abs(last - middle) / middle).toBeLessThan(0.15)
    }
  },
  Number(SOAK_MINUTES) * 2 * 60_000 + 120_000,
)
