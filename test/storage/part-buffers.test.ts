import { expect, it } from 'vitest'
import { type PartBuffers, partBuffers } from '../../storage/part-buffers.ts'

const bytes = 2 * 1024 * 1024
const pieceBytes = bytes / 256
const { signal } = new AbortController()

const takeAll = (buffers: PartBuffers, count: number, least: number) =>
  Promise.all(Array.from({ length: count }, (_, at) => buffers.take(`owner ${at}`, least, signal)))

it('gives so many and no more, and the next when one is given back', async () => {
  const buffers = partBuffers({ bytes, most: 2 })
  const [first, second] = await takeAll(buffers, 2, bytes)
  if (!first || !second) throw new Error('there are two')
  expect(buffers.tryTake('me')).toBeUndefined()
  const third = buffers.take('me', bytes, signal)
  buffers.give(second)
  expect(await third).toBe(second)
  const leaving = new AbortController()
  const fourth = buffers.take('you', bytes, leaving.signal)
  leaving.abort(new Error('gone'))
  await expect(fourth).rejects.toThrow('gone')
  buffers.give(first)
  expect(await buffers.take('you', bytes, signal)).toBe(first)
})

it('gives pieces for what is small, which all together take as much as one buffer', async () => {
  const buffers = partBuffers({ bytes, most: 1 })
  await buffers.take('large', pieceBytes + 1, signal)
  const pieces = await takeAll(buffers, 256, pieceBytes)
  expect(pieces.every(piece => piece.length === pieceBytes)).toBe(true)
  for (const [index, piece] of pieces.entries()) piece.fill(index)
  expect(pieces.every((piece, index) => piece.every(byte => byte === index))).toBe(true)
  expect(new Set(pieces.map(({ buffer }) => buffer)).size).toBe(1)
  const leaving = new AbortController()
  const another = buffers.take('another', 0, leaving.signal)
  leaving.abort(new Error('there is none'))
  await expect(another).rejects.toThrow('there is none')
})

it('gives nobody all that there are: of either kind one is left for who has none', async () => {
  for (const least of [0, bytes]) {
    const buffers = partBuffers({ bytes, most: 15 })
    const leaving = new AbortController()
    const counts = []
    for (const owner of ['a', 'b', 'c']) {
      const taken: Buffer[] = []
      const asked = Array.from({ length: 300 }, () =>
        buffers.take(owner, least, leaving.signal).then(
          given => taken.push(given),
          () => {},
        ),
      )
      void asked
      await new Promise(setImmediate)
      counts.push(taken.length)
    }
    expect(counts).toEqual(least === 0 ? [128, 64, 32] : [8, 4, 2])
    expect(await buffers.take('d', least, signal)).toBeDefined()
    leaving.abort(new Error('enough'))
  }
})

it('serves in turn those who may have one, whoever waits before them that may not', async () => {
  const buffers = partBuffers({ bytes, most: 4 })
  const mine = [await buffers.take('me', bytes, signal), await buffers.take('me', bytes, signal)]
  const order: string[] = []
  const wait = async (owner: string) => {
    const given = await buffers.take(owner, bytes, signal)
    order.push(owner)
    return given
  }
  const third = wait('me')
  const yours = await wait('you')
  const theirs = wait('you')
  const last = wait('others')
  await last
  expect(order).toEqual(['you', 'others'])
  for (const each of [...mine, yours]) buffers.give(each)
  await Promise.all([third, theirs])
  expect(order).toEqual(['you', 'others', 'me', 'you'])
})

it('says after a while that there is none', async () => {
  const buffers = partBuffers({ bytes, most: 1, patienceMs: 20 })
  const taken = await buffers.take('you', bytes, signal)
  await expect(buffers.take('me', bytes, signal)).rejects.toMatchObject({
    fault: 'STORAGE_UNAVAILABLE',
    status: 503,
    headers: { 'Retry-After': '5' },
  })
  buffers.give(taken)
  expect(buffers.tryTake('me')).toBe(taken)
})

it('keeps four that were used, and all that were hardly', async () => {
  const buffers = partBuffers({ bytes, most: 16 })
  const all = () => takeAll(buffers, 16, bytes)
  const first = await all()
  for (const [index, buffer] of first.entries()) buffers.give(buffer, index < 8 ? bytes : 1000)
  const second = new Set(await all())
  const kept = first.map(buffer => second.has(buffer))
  expect(kept.slice(0, 8).filter(Boolean)).toHaveLength(4)
  expect(kept.slice(8)).toEqual(Array(8).fill(true))
  // What was used once takes its memory, however little of it is used the next time.
  for (const buffer of second) buffers.give(buffer, 0)
  const third = new Set(await all())
  expect(first.slice(0, 8).filter(buffer => third.has(buffer))).toHaveLength(4)
})
