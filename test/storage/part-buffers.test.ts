import { expect, it } from 'vitest'
import { partBuffers } from '../../storage/part-buffers.ts'

const bytes = 2 * 1024 * 1024
const { signal } = new AbortController()

it('gives so many and no more, and the next when one is given back', async () => {
  const buffers = partBuffers({ bytes, most: 2 })
  const [first, second] = await Promise.all([buffers.take(signal), buffers.take(signal)])
  expect(buffers.tryTake()).toBeUndefined()
  const third = buffers.take(signal)
  buffers.give(second)
  expect(await third).toBe(second)
  const leaving = new AbortController()
  const fourth = buffers.take(leaving.signal)
  leaving.abort(new Error('gone'))
  await expect(fourth).rejects.toThrow('gone')
  buffers.give(first)
  expect(await buffers.take(signal)).toBe(first)
})

it('keeps four that were used, and all that were hardly', async () => {
  const buffers = partBuffers({ bytes, most: 16 })
  const takeAll = () => Promise.all(Array.from({ length: 16 }, () => buffers.take(signal)))
  const first = await takeAll()
  for (const [index, buffer] of first.entries()) buffers.give(buffer, index < 8 ? bytes : 1000)
  const second = new Set(await takeAll())
  const kept = first.map(buffer => second.has(buffer))
  expect(kept.slice(0, 8).filter(Boolean)).toHaveLength(4)
  expect(kept.slice(8)).toEqual(Array(8).fill(true))
  // What was used once takes its memory, however little of it is used the next time.
  for (const buffer of second) buffers.give(buffer, 0)
  const third = new Set(await takeAll())
  expect(first.slice(0, 8).filter(buffer => third.has(buffer))).toHaveLength(4)
})
