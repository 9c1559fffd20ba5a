/** What a bucket must do with single objects, or had better do. */
import { type Bench, type Check, no, yes } from './bucket-check.ts'
import { aheadMs, apartText, mostApartMs } from './clocks.ts'
import type { Condition, Written } from './object-store.ts'
import { wholeOf } from './whole-of.ts'

const rivals = 8
const rounds = 3

const isWritten = (written: Written) => written !== undefined
const bytesOf = (text: string) => Buffer.from(text)
const absent: Condition = { ifAbsent: true }

async function textAt({ bucket, options }: Bench, key: string): Promise<string | undefined> {
  return (await bucket.read(key, options))?.bytes.toString()
}

/** Several write the same key under one condition; says what is wrong with how that ended. */
async function contested(bench: Bench, key: string, condition: Condition): Promise<string | undefined> {
  const { bucket, options } = bench
  const names = Array.from({ length: rivals }, (_, index) => `rival ${index}`)
  const written = await Promise.all(
    names.map(name => bucket.put(key, bytesOf(name), { ...options, condition })),
  )
  const winners = names.filter((_, index) => isWritten(written[index]))
  if (winners.length !== 1) return `${winners.length} of ${rivals} at once succeeded`
  const there = await textAt(bench, key)
  return there === winners[0] ? undefined : `${winners[0]} was told to have won, and there is ${there}`
}

/** Those in which several meet. */
export const raceChecks: readonly Check[] = [
  {
    name: 'put if absent, 8 at once',
    decides: 'conditionalWrite',
    async look(bench) {
      for (let round = 0; round < rounds; round++) {
        const wrong = await contested(bench, `${bench.prefix}made${round}`, absent)
        if (wrong !== undefined) return no(wrong)
      }
      return yes
    },
  },
  {
    name: 'put if match, 8 at once',
    decides: 'conditionalWrite',
    async look(bench) {
      const { bucket, prefix, options } = bench
      for (let round = 0; round < rounds; round++) {
        const key = `${prefix}replaced${round}`
        const seen = await bucket.put(key, bytesOf('first'), options)
        const wrong = await contested(bench, key, { ifMatch: seen?.etag ?? '' })
        if (wrong !== undefined) return no(wrong)
      }
      return yes
    },
  },
]

export const objectChecks: readonly Check[] = [
  {
    name: 'put if absent',
    decides: 'conditionalWrite',
    async look(bench) {
      const { bucket, prefix, options } = bench
      const key = `${prefix}absent`
      const put = (text: string) => bucket.put(key, bytesOf(text), { ...options, condition: absent })
      if (!isWritten(await put('1'))) return no('an absent key is refused')
      if (isWritten(await put('2'))) return no('a key that is there is written')
      return (await textAt(bench, key)) === '1' ? yes : no('what it refused to write is there')
    },
  },
  {
    name: 'put if match',
    decides: 'conditionalWrite',
    async look(bench) {
      const { bucket, prefix, options } = bench
      const key = `${prefix}matched`
      const put = (at: string, text: string, etag: string) =>
        bucket.put(at, bytesOf(text), { ...options, condition: { ifMatch: etag } })
      const first = (await bucket.put(key, bytesOf('1'), options))?.etag ?? ''
      const second = (await put(key, '2', first))?.etag
      if (second === undefined) return no('the right etag is refused')
      if ((await bucket.read(key, options))?.etag !== second)
        return no('a read has another etag than the write')
      if (isWritten(await put(key, '3', first))) return no('an old etag is accepted')
      if ((await textAt(bench, key)) !== '2') return no('what it refused to write is there')
      const missing = `${prefix}missing`
      if (isWritten(await put(missing, '4', second))) return no('an etag of what is not there is accepted')
      return (await textAt(bench, missing)) === undefined ? yes : no('what it refused to write is there')
    },
  },
  {
    name: 'remove if match',
    decides: 'conditionalRemove',
    async look(bench) {
      const { bucket, prefix, options } = bench
      const key = `${prefix}removed`
      const first = (await bucket.put(key, bytesOf('1'), options))?.etag ?? ''
      const second = (await bucket.put(key, bytesOf('2'), options))?.etag ?? ''
      const remove = (etag: string) => bucket.remove(key, { ...options, condition: { ifMatch: etag } })
      if ((await remove(first)) || (await textAt(bench, key)) !== '2') return no('an old etag is accepted')
      if (!(await remove(second))) return no('the right etag is refused')
      return (await textAt(bench, key)) === undefined ? yes : no('what it removed is there')
    },
  },
  {
    name: 'read after write',
    decides: 'service',
    async look(bench) {
      const { bucket, prefix, options } = bench
      const key = `${prefix}read`
      for (let round = 0; round < rounds; round++) {
        // It is remembered by many on the way that nothing was there.
        if ((await textAt(bench, key)) !== undefined) return no('a key that was removed is there')
        for (const text of ['old', 'new']) {
          await bucket.put(key, bytesOf(text), options)
          if ((await textAt(bench, key)) !== text) return no('what was just written is not there')
        }
        if ((await bucket.head(key, options)) !== 3) return no('its size is another')
        if (!(await bucket.remove(key, options))) return no('a removal is refused')
      }
      return (await bucket.head(key, options)) === undefined ? yes : no('a key that was removed is there')
    },
  },
  {
    name: '8 writes of one key at once',
    decides: 'service',
    async look(bench) {
      const { bucket, prefix, options } = bench
      const key = `${prefix}crowd`
      const texts = Array.from({ length: rivals }, (_, index) => `writer ${index}`)
      const written = await Promise.all(texts.map(text => bucket.put(key, bytesOf(text), options)))
      if (!written.every(isWritten)) return no('some were refused')
      return texts.includes((await textAt(bench, key)) ?? '') ? yes : no('what is there nobody has written')
    },
  },
  {
    name: 'list after write',
    decides: 'service',
    async look({ bucket, prefix, options }) {
      const under = `${prefix}lag/`
      const listed = async (key: string) =>
        (await bucket.list(under, { ...options, limit: 10 })).entries.some(entry => entry.key === key)
      await bucket.put(`${under}first`, bytesOf('1'), options)
      for (let round = 0; round < rounds; round++) {
        const key = `${under}${round}`
        await bucket.put(key, bytesOf('1'), options)
        if (!(await listed(key))) return no('what was just written is not listed')
        await bucket.remove(key, options)
        if (await listed(key)) return no('what was just removed is listed')
      }
      return yes
    },
  },
  {
    name: 'order of lists',
    decides: 'service',
    async look({ bucket, prefix, options }) {
      const under = `${prefix}order/`
      const keys = ['A', 'a', 'a!', 'a-', 'a.', 'a_', 'b-', 'b/x', 'b0'].map(word => under + word)
      await Promise.all(keys.map(key => bucket.put(key, bytesOf('1'), options)))
      const list = async (limit: number, after?: string) => {
        const page = await bucket.list(under, { ...options, limit, ...(after !== undefined && { after }) })
        return { text: page.entries.map(({ key }) => key.slice(under.length)).join(' '), more: page.more }
      }
      const expected = (from: number, to?: number) =>
        keys
          .slice(from, to)
          .map(key => key.slice(under.length))
          .join(' ')
      const whole = await list(100)
      if (whole.text !== expected(0) || whole.more) return no(whole.text)
      const pages = await Promise.all(keys.map(after => list(2, after)))
      for (const [index, { text, more }] of pages.entries()) {
        const after = keys[index]?.slice(under.length)
        if (text !== expected(index + 1, index + 3)) return no(`${text} after ${after}`)
        if (more !== index + 3 < keys.length) return no(`${more ? 'more' : 'no more'} after ${after} and two`)
      }
      return yes
    },
  },
  {
    name: 'clock',
    decides: 'service',
    async look({ bucket, prefix, options }) {
      const before = Date.now()
      const theirs = (await bucket.put(`${prefix}time`, bytesOf('1'), options))?.modifiedMs ?? 0
      const after = Date.now()
      const apartMs = aheadMs(before, theirs, after)
      if (apartMs === 0) return { found: 'shows our time', ok: true }
      return { found: apartText(apartMs), ok: Math.abs(apartMs) <= mostApartMs }
    },
  },
  {
    name: 'range',
    decides: 'service',
    async look({ bucket, prefix, options }) {
      const key = `${prefix}range`
      await bucket.put(key, bytesOf('0123456789'), options)
      for (const [start, end] of [
        [0, 1],
        [3, 7],
        [9, 10],
      ] as const) {
        const found = await bucket.get(key, { ...options, range: { start, end } })
        if (!found) return no('there is nothing')
        const text = (await wholeOf(found.stream)).toString()
        if (text !== '0123456789'.slice(start, end)) return no(`"${text}" from ${start} to ${end}`)
        if (found.size !== 10) return no(`a size of ${found.size} instead of 10`)
      }
      return yes
    },
  },
]
