import { beforeEach, describe, expect, it } from 'vitest'
import type { ObjectStore } from '../../storage/object-store.ts'
import type { Opened } from '../helpers/folder.ts'
import { fault, io, soon } from '../helpers/waiting.ts'

const text = (value: string | number) => Buffer.from(String(value))

/** What an adapter promises beyond what all do. */
export interface Laws {
  /**
   * Every process sees at once what another has done: records that it remembers, and uploads, which are locked and counted
   * from their first byte on. Content is listed once it is complete.
   */
  readonly together: boolean
}

/** Records: whole, compare-and-set, and listed in the order of their bytes. */
export function describeRecords(
  name: string,
  open: () => Promise<Opened>,
  { together }: Laws = { together: true },
): void {
  describe(`${name} keeps records`, () => {
    const whenTogether = (title: string, behaviour: () => Promise<void>) => {
      if (together) it(title, behaviour)
    }
    let opened: Opened
    let store: ObjectStore
    beforeEach(async () => {
      opened = await open()
      store = opened.store
    })
    const put = (key: string, value: string = key) => store.write(key, text(value), soon())

    it('reads what was written, byte for byte, and forgets what was removed', async () => {
      const bytes = Buffer.from(Array.from({ length: 256 }, (_, at) => at))
      const written = await store.write('x/record', bytes, soon())
      const found = await store.read('x/record', io)
      expect(found?.bytes.equals(bytes)).toBe(true)
      expect(found?.etag).toBe(written?.etag)
      expect(Math.abs((found?.modifiedMs ?? 0) - Date.now())).toBeLessThan(10_000)
      expect(await store.remove('x/record', soon())).toBe(true)
      expect(await store.read('x/record', io)).toBeUndefined()
      expect(await store.remove('x/record', soon())).toBe(true)
    })

    it('knows nothing of a key that was never written', async () => {
      expect(await store.read('x/none', io)).toBeUndefined()
      expect(await store.write('x/none', text(1), soon({ ifMatch: 'x' }))).toBeUndefined()
      expect(await store.remove('x/none', soon({ ifMatch: 'x' }))).toBe(true)
      expect(await store.read('x/none', io)).toBeUndefined()
    })

    it('has another etag for other bytes', async () => {
      const etags = await Promise.all(['a', 'b', 'aa', ''].map(value => put(`x/${value}-key`, `${value}.`)))
      expect(new Set(etags.map(written => written?.etag)).size).toBe(4)
    })

    it('lets exactly one of many that create a key win', async () => {
      const other = await opened.beside()
      const tries = Array.from({ length: 16 }, async (_, at) => {
        const written = await (at % 2 ? store : other).write('x/one', text(at), soon({ ifAbsent: true }))
        return written ? at : undefined
      })
      const won = (await Promise.all(tries)).filter(at => at !== undefined)
      expect(won).toHaveLength(1)
      expect((await store.read('x/one', io))?.bytes.toString()).toBe(String(won[0]))
    })

    it('replaces and removes only what still has the etag', async () => {
      const first = await store.write('x/cas', text(1), soon({ ifAbsent: true }))
      const second = await store.write('x/cas', text(2), soon({ ifMatch: first?.etag ?? '' }))
      expect(second).toBeDefined()
      expect(await store.write('x/cas', text(3), soon({ ifMatch: first?.etag ?? '' }))).toBeUndefined()
      expect(await store.remove('x/cas', soon({ ifMatch: first?.etag ?? '' }))).toBe(false)
      expect((await store.read('x/cas', io))?.bytes.toString()).toBe('2')
      expect(await store.remove('x/cas', soon({ ifMatch: second?.etag ?? '' }))).toBe(true)
      expect(await store.read('x/cas', io)).toBeUndefined()
    })

    it('loses no step of a counter that eight count at once', async () => {
      const stores = [store, await opened.beside()]
      await store.write('x/counter', text(0), soon({ ifAbsent: true }))
      const count = async (through: ObjectStore) => {
        for (let left = 5; left > 0; ) {
          const found = await through.read('x/counter', io)
          const next = text(Number(found?.bytes.toString()) + 1)
          if (await through.write('x/counter', next, soon({ ifMatch: found?.etag ?? '' }))) left--
        }
      }
      await Promise.all(Array.from({ length: 8 }, (_, at) => count(stores[at % 2] ?? store)))
      for (const each of stores) expect((await each.read('x/counter', io))?.bytes.toString()).toBe('40')
    })

    it('refuses what comes after its deadline', async () => {
      const written = await store.write('x/late', text(1), soon({ ifAbsent: true }))
      const late = { ...io, deadlineMs: Date.now() - 1 }
      const match = { ifMatch: written?.etag ?? '' }
      const refused = fault('STORAGE_UNAVAILABLE')
      await expect(store.write('x/new', text(2), late)).rejects.toMatchObject(refused)
      const creating = store.write('x/new', text(2), { ...late, condition: { ifAbsent: true } })
      await expect(creating).rejects.toMatchObject(refused)
      await expect(store.write('x/late', text(2), { ...late, condition: match })).rejects.toMatchObject(
        refused,
      )
      await expect(store.remove('x/late', { ...late, condition: match })).rejects.toMatchObject(refused)
      expect((await store.read('x/late', io))?.bytes.toString()).toBe('1')
      expect(await store.read('x/new', io)).toBeUndefined()
    })

    whenTogether('sees at once what another has written', async () => {
      const other = await opened.beside()
      await put('x/shared', '1')
      const versioned = await expect
        .poll(() => store.read('x/shared', io))
        .toHaveProperty('version')
        .then(() => store.read('x/shared', io))
      const version = versioned?.version ?? ''
      expect(store.isCurrent?.('x/shared', version)).toBe(true)
      await other.write('x/shared', text(2), soon())
      expect(store.isCurrent?.('x/shared', version)).toBe(false)
      expect((await store.read('x/shared', io))?.bytes.toString()).toBe('2')
      await other.remove('x/shared', soon())
      expect(store.isCurrent?.('x/shared', version)).toBe(false)
      expect(await store.read('x/shared', io)).toBeUndefined()
    })

    describe('and lists their keys', () => {
      const words = [
        'A',
        'a',
        'a!',
        'a!b',
        'a-',
        'a-b',
        'a.',
        'a0',
        'a_',
        'aa',
        'b/A',
        'b/a',
        'b!/x',
        'b-',
        'b0/y/z',
      ]
      const keys = words.map(word => `l/${word}`).sort((a, b) => Buffer.compare(text(a), text(b)))
      beforeEach(() => Promise.all(keys.map(key => put(key))))

      it.for(['l/', 'l', 'l/a', 'l/a!', 'l/b', 'l/b/', 'l/b/a', 'l/b0/y', 'l/c', 'none/', 'l/b!'])(
        'under %s, page by page, in byte order',
        async prefix => {
          const wanted = keys.filter(key => key.startsWith(prefix))
          for (const limit of [1, 2, 5, 100]) {
            const found: string[] = []
            for (let more = true; more; ) {
              const after = found.at(-1)
              const page = await store.list(prefix, { ...io, limit, ...(after && { after }) })
              expect(page.keys.length).toBeLessThanOrEqual(limit)
              expect(page.more).toBe(found.length + page.keys.length < wanted.length)
              found.push(...page.keys)
              more = page.more
            }
            expect(found).toEqual(wanted)
          }
        },
      )

      it('after any text, whether it is a key or not', async () => {
        for (const after of [
          'l/',
          'l/a',
          'l/a ',
          'l/a!~',
          'l/b',
          'l/b/',
          'l/b/M',
          'l/b/~',
          'l/b0/y',
          'l/~',
          'k',
          'm',
        ]) {
          const page = await store.list('l/', { ...io, limit: 100, after })
          expect(page.keys, after).toEqual(keys.filter(key => key > after))
        }
      })

      it('as they are after every change', async () => {
        for (let at = 0; at < 20; at++) {
          await put(`l/z${at}`)
          const { keys: found } = await store.list('l/z', { ...io, limit: 100 })
          expect(found).toHaveLength(at + 1)
        }
        await store.remove('l/z7', soon())
        expect((await store.list('l/z', { ...io, limit: 100 })).keys).not.toContain('l/z7')
      })
    })

    it('lists three thousand keys in three pages', async () => {
      const names = Array.from(
        { length: 3000 },
        (_, at) => `p/${at % 3}/${String(at).padStart(5, '0')}`,
      ).sort()
      for (let at = 0; at < names.length; at += 100)
        await Promise.all(names.slice(at, at + 100).map(key => put(key, '.')))
      const first = await store.list('p/', { ...io, limit: 1000 })
      const second = await store.list('p/', { ...io, limit: 1000, after: first.keys.at(-1) ?? '' })
      const third = await store.list('p/', { ...io, limit: 1000, after: second.keys.at(-1) ?? '' })
      expect([first.more, second.more, third.more]).toEqual([true, true, false])
      expect([...first.keys, ...second.keys, ...third.keys]).toEqual(names)
    })
  })
}
