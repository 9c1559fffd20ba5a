import { expect, it } from 'vitest'
import { counters } from '../../auth/counters.ts'

const minuteMs = 60_000

function counted(most = 100) {
  const clock = { nowMs: 0 }
  return { clock, ...counters(most, () => clock.nowMs) }
}

it('keeps a few megabytes, however many networks send however much', () => {
  const { add, kept } = counted()
  for (let network = 0; network < 2_000; network++)
    for (let mark = 0; mark < 100; mark++) add(`network ${network}`, network * 100 + mark)
  // Each takes less than 100 bytes.
  expect(kept()).toBeLessThanOrEqual(40_000)
  expect(kept()).toBeGreaterThan(39_000)
})

it('forgets first who was counted longest ago, and as a whole', () => {
  const { add, count } = counted()
  const fill = (network: number) => {
    for (let mark = 0; mark < 100; mark++) add(`network ${network}`, mark)
  }
  for (let network = 0; network < 400; network++) fill(network)
  expect([0, 1, 399].map(network => count(`network ${network}`))).toEqual([100, 100, 100])
  fill(400)
  expect([2, 3, 0, 1].map(network => count(`network ${network}`))).toEqual([0, 100, 100, 100])
})

it('knows how much it keeps, whatever becomes of it', () => {
  const { add, clear, forget, waitMs, count, kept, clock } = counted(3)
  const takeBack = add('a', 1)
  add('a', 1)
  add('a', 2)
  add('b', 1)
  expect(kept()).toBe(3)
  takeBack()
  takeBack()
  forget('a', 7)
  expect(kept()).toBe(2)
  for (const mark of [3, 4, 5, 6]) add('a', mark)
  expect([kept(), waitMs('a', 7) > 0, waitMs('a', 6)]).toEqual([4, true, 0])
  const late = add('b', 2)
  clear('b')
  late()
  expect(kept()).toBe(3)
  clock.nowMs += 16 * minuteMs
  expect([count('a'), kept()]).toEqual([0, 0])
})
