import { expect, it } from 'vitest'
import { gate } from '../../auth/gate.ts'
import { io } from '../helpers/waiting.ts'

/** Work that ends when it is told to. */
function work() {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { run: () => promise, end: resolve }
}

it('runs a few at once and the others in their order', async () => {
  const begun: string[] = []
  const inTurn = gate({ atOnce: 2, waiting: 9 })
  const jobs = ['a', 'b', 'c', 'd'].map(name => ({ name, ...work() }))
  const ends = jobs.map(({ name, run }) =>
    inTurn(() => {
      begun.push(name)
      return run()
    }, io),
  )
  await Promise.resolve()
  expect(begun).toEqual(['a', 'b'])
  jobs[1]?.end()
  await ends[1]
  await Promise.resolve()
  expect(begun).toEqual(['a', 'b', 'c'])
  for (const { end } of jobs) end()
  await Promise.all(ends)
  expect(begun).toEqual(['a', 'b', 'c', 'd'])
})

it('gives a place back when work fails', async () => {
  const inTurn = gate({ atOnce: 1, waiting: 0 })
  await expect(inTurn(() => Promise.reject(new Error('broken')), io)).rejects.toThrow('broken')
  expect(await inTurn(async () => 'done', io)).toBe('done')
})

it('forgets who does not wait any longer, and does not begin for who has gone', async () => {
  const inTurn = gate({ atOnce: 1, waiting: 1 })
  const first = work()
  const running = inTurn(first.run, io)
  const gone = new AbortController()
  const waiting = inTurn(async () => 'too late', { signal: gone.signal })
  await expect(inTurn(async () => 'one too many', io)).rejects.toMatchObject({ name: 'Busy' })
  gone.abort(new Error('gone'))
  await expect(waiting).rejects.toThrow('gone')
  const next = inTurn(async () => 'next', io)
  first.end()
  await running
  expect(await next).toBe('next')
  await expect(inTurn(async () => 'never', { signal: gone.signal })).rejects.toThrow('gone')
  expect(await inTurn(async () => 'again', io)).toBe('again')
})
