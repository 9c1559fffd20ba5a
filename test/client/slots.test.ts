import { expect, it } from 'vitest'
import { forEachAtOnce, slots } from '../../client/slots.ts'

/** Runs that end one after the other, each when all that may run do. */
function runs() {
  const started: number[] = []
  let running = 0
  let most = 0
  const run = async (each: number) => {
    started.push(each)
    most = Math.max(most, ++running)
    await new Promise(setImmediate)
    running--
  }
  return { started, most: () => most, run }
}

const items = [0, 1, 2, 3, 4, 5, 6]

it('lets so many run at once, and all in the end', async () => {
  const { started, most, run } = runs()
  const inTurn = slots(3)

  await Promise.all(items.map(each => inTurn(() => run(each))))

  expect({ started, most: most() }).toEqual({ started: items, most: 3 })
})

it('gives a slot back when its run fails', async () => {
  const inTurn = slots(1)

  await expect(inTurn(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await inTurn(async () => 'yes')).toBe('yes')
})

it('goes through a list, so many at once', async () => {
  const { started, most, run } = runs()

  await forEachAtOnce(items, 2, run)

  expect({ started, most: most() }).toEqual({ started: items, most: 2 })
})

it('begins nothing more after a failure', async () => {
  const started: number[] = []
  const failing = forEachAtOnce(items, 2, async each => {
    started.push(each)
    await new Promise(setImmediate)
    if (each === 1) throw new Error('no')
  })

  await expect(failing).rejects.toThrow('no')
  for (const _ of items) await new Promise(setImmediate)
  expect(started).toEqual([0, 1, 2])
})
