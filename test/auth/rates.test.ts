import { expect, it } from 'vitest'
import { hotKeys, rateLimit } from '../../auth/rates.ts'

function limit(perMinute: number, burst: number) {
  const clock = { nowMs: 5_000 }
  return { clock, take: rateLimit({ perMinute, burst }, () => clock.nowMs) }
}
const times = (count: number, act: () => number) => Array.from({ length: count }, act)

it('takes a burst, then says how long to wait, and takes who has waited', () => {
  const { clock, take } = limit(20, 5)
  expect(times(7, () => take('alice'))).toEqual([0, 0, 0, 0, 0, 3, 3])
  clock.nowMs += 2_999
  expect(take('alice')).toBe(1)
  clock.nowMs += 1
  expect(times(2, () => take('alice'))).toEqual([0, 3])
})

it('takes no more after a long pause than after a short one', () => {
  const { clock, take } = limit(60, 3)
  times(3, () => take('alice'))
  clock.nowMs += 86_400_000
  expect(times(4, () => take('alice'))).toEqual([0, 0, 0, 1])
})

it('takes as many in the long run as it says', () => {
  const { clock, take } = limit(600, 10)
  let taken = 0
  for (let tick = 0; tick < 60_000; tick += 10) {
    clock.nowMs += 10
    if (take('alice') === 0) taken++
  }
  expect(taken).toBeGreaterThanOrEqual(600)
  expect(taken).toBeLessThanOrEqual(610)
})

it('lets nobody use up the turns of somebody else', () => {
  const { take } = limit(1, 1)
  expect([take('alice'), take('alice'), take('bob'), take('__proto__'), take('')]).toEqual([0, 60, 0, 0, 0])
})

it('calls hot what many ask about, and not what one asks about often', () => {
  const clock = { nowMs: 5_000 }
  const isHot = hotKeys(() => clock.nowMs)
  const often = Array.from({ length: 100 }, () => isHot('layer', 'alice'))
  expect(often).not.toContain(true)
  const many = ['bob', 'carol', 'dave', 'erin', 'frank', 'alice', 'grace']
  expect(many.map(who => isHot('layer', who))).toEqual([false, false, false, false, true, true, true])
  expect(isHot('another', 'alice')).toBe(false)
  clock.nowMs += 600_000
  expect(isHot('layer', 'alice')).toBe(false)
})
