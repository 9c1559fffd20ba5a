import { expect, it } from 'vitest'
import { killLoop, said } from '../helpers/kill-loop.ts'
import { remark } from '../helpers/reporter.ts'

it('keeps what it acknowledged, whole, through hundreds of kills', async ({ annotate }) => {
  const figures = await killLoop(200)
  await annotate(`kill -9: ${said(figures)}`, remark)
  expect(figures.lost).toEqual([])
  expect(figures.acknowledged).toBeGreaterThan(0)
})
