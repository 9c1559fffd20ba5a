import { expect, it, vi } from 'vitest'
import { verifyChain } from '../../auth/audit.ts'
import { type AuditJournal, type AuditLogParts, type AuditNote, auditLog } from '../../auth/audit-log.ts'
import { journal } from '../../storage/journal.ts'
import { memoryStore } from '../../storage/memory.ts'
import { io } from '../helpers/waiting.ts'

const push = (target: string): AuditNote => ({
  actor: 'user:alice',
  via: 'password',
  action: 'push',
  target,
  result: 'done',
})

function logOver(store = memoryStore(), parts: Partial<AuditLogParts> = {}) {
  const lines = journal(store)
  const log = auditLog({ journal: lines, now: () => Date.parse('2026-11-21T12:00:00Z'), ...parts })
  const texts = async () => (await Array.fromAsync(lines.lines(io))).map(({ text }) => text)
  const targets = async () => (await texts()).map(text => JSON.parse(text).target)
  return { log, lines, texts, targets, store }
}

/** A journal that refuses as long as `isBroken`, and counts what it is asked. */
function fragile(inner: AuditJournal) {
  const state = { isBroken: true, asked: 0 }
  const append: AuditJournal['append'] = async (make, anyIo) => {
    state.asked++
    if (state.isBroken) throw new Error('no space')
    return inner.append(make, anyIo)
  }
  return { state, journal: { append } }
}

it('has written what is recorded when it says so', async () => {
  const { log, texts } = logOver()
  await log.record(push('a'))
  const [line = '', ...others] = await texts()
  expect(others).toEqual([])
  expect(JSON.parse(line)).toMatchObject({ seq: 1, at: '2026-11-21T12:00:00.000Z', target: 'a' })
})

it('writes what is noted within a second, all of it at once', async () => {
  vi.useFakeTimers()
  try {
    const { lines, log } = logOver()
    const append = vi.spyOn(lines, 'append')
    for (const target of ['a', 'b', 'c']) log.note(push(target))
    await vi.advanceTimersByTimeAsync(900)
    expect(append).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(100)
    expect(append).toHaveBeenCalledTimes(1)
    expect(await Array.fromAsync(lines.lines(io))).toHaveLength(3)
  } finally {
    vi.useRealTimers()
  }
})

it('keeps the order in which it was told', async () => {
  const { log, targets } = logOver()
  log.note(push('a'))
  log.note(push('b'))
  await log.record(push('c'))
  log.note(push('d'))
  await log.flush()
  expect(await targets()).toEqual(['a', 'b', 'c', 'd'])
})

it('makes one chain of what many processes write', async () => {
  const store = memoryStore()
  const logs = Array.from({ length: 8 }, () => logOver(store))
  await Promise.all(
    logs.map(async ({ log }, index) => {
      for (let count = 0; count < 30; count++) log.note(push(`${index}-${count}`))
      await log.record(push(`${index}-30`))
      await log.flush()
    }),
  )
  const texts = (await logs[0]?.texts()) ?? []
  expect(await verifyChain(texts)).toMatchObject({ kind: 'intact', end: { seq: 248 } })
  expect(new Set(texts.map(text => JSON.parse(text).target)).size).toBe(248)
})

it('makes one chain over the ends of segments', async () => {
  const { log, lines, texts } = logOver()
  for (let count = 0; count < 1_500; count++) log.note(push(`team/app:${count}`.padEnd(200, 'x')))
  await log.flush()
  const places = (await Array.fromAsync(lines.lines(io))).map(({ place }) => place.slice(0, -2))
  expect(new Set(places.map(place => place.split(':')[0])).size).toBeGreaterThan(2)
  expect(await verifyChain(await texts())).toMatchObject({ kind: 'intact', end: { seq: 1_500 } })
})

it('refuses what cannot be recorded, and does not tell of it later', async () => {
  const { lines, targets } = logOver()
  const { state, journal } = fragile(lines)
  const { log } = logOver(undefined, { journal })
  await expect(log.record(push('refused'))).rejects.toThrow('no space')
  state.isBroken = false
  await log.record(push('taken'))
  expect(await targets()).toEqual(['taken'])
})

it('tries again what was noted, and hears that it failed', async () => {
  const { lines, targets } = logOver()
  const { state, journal } = fragile(lines)
  const onFailure = vi.fn()
  const { log } = logOver(undefined, { journal, onFailure })
  log.note(push('a'))
  await expect(log.flush()).rejects.toThrow('no space')
  expect(onFailure).toHaveBeenCalledExactlyOnceWith(expect.any(Error), 1)
  state.isBroken = false
  log.note(push('b'))
  await log.flush()
  expect(await targets()).toEqual(['a', 'b'])
})

it('holds so many events and no more, and tells how many are missing', async () => {
  const { lines, texts } = logOver()
  const { state, journal } = fragile(lines)
  const { log } = logOver(undefined, { journal, limits: { waiting: 5 } })
  for (let count = 0; count < 8; count++) log.note(push(String(count)))
  state.isBroken = false
  await log.flush()
  const events = (await texts()).map(text => JSON.parse(text))
  expect(events.map(({ target, action }) => target ?? action)).toEqual(['0', '1', '2', '3', '4', 'audit.gap'])
  expect(events.at(-1).detail.reason).toBe('3 events could not be written down')
})

it('does not go on from a last line that somebody has broken', async () => {
  const { log, store } = logOver()
  const options = { ...io, deadlineMs: Date.now() + 10_000, condition: { ifAbsent: true as const } }
  await store.write('audit/0000000001', Buffer.from('{"seq":1,"prev'), options)
  await expect(log.record(push('a'))).rejects.toThrow('its last line cannot be read')
})
