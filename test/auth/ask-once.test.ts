import { expect, it } from 'vitest'
import { askOnce } from '../../auth/ask-once.ts'
import { io } from '../helpers/waiting.ts'

/** Questions that are answered when the test says so. */
function asking({ max = 10 } = {}) {
  const once = askOnce<{ readonly is: string }>({ max, ttl: 60_000 })
  const found: PromiseWithResolvers<{ readonly is: string }>[] = []
  const ask = (question: string, asker = io) => {
    const find = () => {
      const answer = Promise.withResolvers<{ readonly is: string }>()
      found.push(answer)
      return answer.promise
    }
    return once(question, find, asker)
  }
  return { found, ask }
}

const turn = () => new Promise(resolve => setImmediate(resolve))

it('finds once what many ask at once, and what is asked again', async () => {
  const { found, ask } = asking()
  const asked = [ask('a'), ask('a'), ask('b'), ask('a')]
  await turn()
  expect(found).toHaveLength(2)
  found[0]?.resolve({ is: 'A' })
  found[1]?.resolve({ is: 'B' })
  expect((await Promise.all(asked)).map(({ is }) => is)).toEqual(['A', 'A', 'B', 'A'])
  expect((await ask('a')).is).toBe('A')
  expect(found).toHaveLength(2)
})

it('lets the next one find it when who began could not', async () => {
  const { found, ask } = asking()
  const first = ask('a')
  const second = ask('a')
  found[0]?.reject(new Error('the client went away'))
  await expect(first).rejects.toThrow('went away')
  await turn()
  found[1]?.resolve({ is: 'A' })
  expect([(await second).is, found.length]).toEqual(['A', 2])
})

it('keeps nobody waiting who has gone', async () => {
  const { found, ask } = asking()
  const gone = new AbortController()
  const asked = Promise.allSettled([ask('a'), ask('a', { signal: gone.signal }), ask('a')])
  gone.abort(new Error('gone'))
  found[0]?.reject(new Error('no'))
  await turn()
  expect(found).toHaveLength(2)
  found[1]?.resolve({ is: 'A' })
  expect((await asked).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled'])
})

it('remembers so many answers and no more', async () => {
  const { found, ask } = asking({ max: 2 })
  for (const question of ['a', 'b', 'c', 'a']) {
    const answer = ask(question)
    found.at(-1)?.resolve({ is: question })
    await answer
  }
  expect(found).toHaveLength(4)
})
