/** Links that processes write, mark, remove and read at once, by way of the log and of files: one order explains it all. */
import { expect, it, onTestFinished } from 'vitest'
import type { ObjectStore } from '../../storage/object-store.ts'
import { joinFolder, type OpenStore, openFolder } from '../../storage/open.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { type History, recordHistory } from '../helpers/history.ts'
import type { Step, Value } from '../helpers/linearizable.ts'
import { pause } from '../helpers/until.ts'
import { io, soon } from '../helpers/waiting.ts'

const durability = 'relaxed'
const keys = ['b/sha256/000/one.r.repository', 'b/sha256/000/two.r.repository']
const actors = 6
const rounds = Number(process.env.WAL_ROUNDS ?? 4)
const roundMs = 1_500
/** Whoever writes a link writes what is as good: here the same. */
const link = 'link'

const pick = <T>(items: readonly T[]): T => items[Math.floor(Math.random() * items.length)] as T

/** What is asked of the store, and what its answer says; undefined: nothing that the judge has a word for. */
type Act = (store: ObjectStore, key: string) => Promise<Step | undefined>

const found = async (store: ObjectStore, key: string) => {
  const record = await store.read(key, io)
  return { value: record?.bytes.toString(), etag: record?.etag }
}

let count = 0
const read: Act = async (store, key) => ({ kind: 'read', found: (await found(store, key)).value })
const list: Act = async (store, key) => {
  const { keys: listed } = await store.list(key, { ...io, limit: 5 })
  return listed.length === 0 ? { kind: 'read', found: undefined } : undefined
}
const write: Act = async (store, key) => {
  const written = await store.overwrite?.(key, Buffer.from(link), soon())
  return written ? { kind: 'write', to: link } : undefined
}

async function act(history: History, store: ObjectStore, key: string): Promise<void> {
  const what = pick(['write', 'write', 'replace', 'remove', 'read', 'list'])
  let calledMs = performance.now()
  const outcome = () => ({ calledMs, returnedMs: performance.now(), attempts: 1, what })
  if (what === 'read' || what === 'list' || what === 'write') {
    const step = await { read, list, write }[what](store, key)
    if (step) history.happened(key, step, outcome())
    else if (what === 'write') history.unknown(key, { kind: 'write', to: link }, outcome())
    return
  }
  const before = await found(store, key)
  history.happened(key, { kind: 'read', found: before.value }, outcome())
  if (before.etag === undefined) return
  calledMs = performance.now()
  const isStill = (now: Value) => now === before.value
  const condition = { ifMatch: before.etag }
  if (what === 'replace') {
    const to = `leaving ${++count}`
    const done = await store.write(key, Buffer.from(to), soon(condition))
    history.happened(
      key,
      done ? { kind: 'write', to, onlyIf: isStill } : { kind: 'refused', onlyIf: isStill },
      outcome(),
    )
    return
  }
  const isOrGone = (now: Value) => isStill(now) || now === undefined
  const done = await store.remove(key, soon(condition))
  const step: Step = done
    ? { kind: 'write', to: undefined, onlyIf: isOrGone }
    : { kind: 'refused', onlyIf: isOrGone }
  history.happened(key, step, outcome())
}

async function round(): Promise<readonly string[]> {
  const root = await temporaryFolder()
  const owner = await openFolder(root, 'server', { durability })
  onTestFinished(owner.close)
  const joined: OpenStore[] = []
  for (let left = 3; left > 0; left--) joined.push(await joinFolder(root, { durability }))
  const history = recordHistory()
  const end = Date.now() + roundMs
  const working = Array.from({ length: actors }, async (_, at) => {
    while (Date.now() < end) {
      const { store } = joined[at % 2] as OpenStore
      await act(history, store, pick(keys))
      await pause(Math.random() * 20)
    }
  })
  // Its segments are made files whenever it leaves.
  const coming = (async () => {
    while (Date.now() < end) {
      const { store, close } = joined.pop() as OpenStore
      for (let left = 8; left > 0; left--) {
        await act(history, store, pick(keys))
        await pause(Math.random() * 10)
      }
      await close()
      joined.push(await joinFolder(root, { durability }))
    }
  })()
  await Promise.all([...working, coming])
  for (const { close } of joined) await close()
  const faults = keys.map(key => history.fault(key))
  const last = keys.map(async key => ({ key, ...(await found(owner.store, key)) }))
  for (const { key, value } of await Promise.all(last)) {
    const calledMs = performance.now()
    history.happened(
      key,
      { kind: 'read', found: value },
      { calledMs, returnedMs: calledMs, attempts: 1, what: 'last' },
    )
  }
  return [...faults, ...keys.map(key => history.fault(key))].filter(fault => fault !== undefined)
}

it('all of them can have happened one after another', { timeout: rounds * 30_000 }, async () => {
  for (let at = 0; at < rounds; at++) expect(await round()).toEqual([])
})
