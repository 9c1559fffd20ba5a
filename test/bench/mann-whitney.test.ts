import { expect, it } from 'vitest'
import { mannWhitney } from '../../bench/mann-whitney.ts'
import { randomFrom } from '../helpers/random.ts'

// The first is the example of SciPy's documentation, the others are worked out by hand.
it.for<[first: number[], second: number[], share: number, p: number]>([
  [[19, 22, 16, 29, 24], [20, 11, 17, 12], 17 / 20, 0.11134688653],
  [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [11, 12, 13, 14, 15, 16, 17, 18, 19, 20], 0, 0.00018267179],
  [[1, 1, 2, 2], [1, 2, 2, 3], 5 / 16, 0.4292],
  [[7, 7, 7], [7, 7, 7], 0.5, 1],
])('compares %j and %j', ([first, second, share, p]) => {
  const found = mannWhitney(first, second)
  expect(found.share).toBeCloseTo(share, 10)
  expect(found.p).toBeCloseTo(p, 4)
  expect(mannWhitney(second, first).p).toBeCloseTo(p, 4)
})

it('finds a shift that is small beside the noise, and none where there is none', () => {
  const { oneOf } = randomFrom(7)
  const digits: [number, ...number[]] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
  const sample = (shift: number) =>
    Array.from({ length: 2_000 }, () => oneOf(digits) + oneOf(digits) / 10 + oneOf(digits) / 100 + shift)
  expect(mannWhitney(sample(0), sample(0)).p).toBeGreaterThan(0.01)
  expect(mannWhitney(sample(0), sample(0.5)).p).toBeLessThan(0.001)
})
