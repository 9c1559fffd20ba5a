import { calculateJwkThumbprint } from 'jose'
import { expect, it } from 'vitest'
import {
  activeOf,
  aged,
  firstRing,
  type KeyRing,
  makeKey,
  published,
  publishForMs,
  rememberForMs,
  revoked,
  trusted,
  turnAfterMs,
  turned,
} from '../../auth/keys.ts'

const startMs = Date.UTC(2026, 10, 21)
const states = ({ keys }: KeyRing) => keys.map(({ state }) => state)
const kidOf = ({ keys }: KeyRing, wanted: string) => keys.find(({ state }) => state === wanted)?.kid ?? 'none'

it('names a key by its thumbprint', async () => {
  const { kid, publicJwk } = makeKey()
  expect(kid).toBe(await calculateJwkThumbprint(publicJwk))
})

it('makes no key whose name a command would take for an option', () => {
  const kids = Array.from({ length: 1_000 }, () => makeKey().kid)
  expect(kids.filter(kid => kid.startsWith('-'))).toEqual([])
})

it('begins with a key that signs and one that will', () => {
  expect(states(firstRing(startMs))).toEqual(['active', 'next'])
})

it('publishes every key that is trusted, and no private part', () => {
  const ring = turned(firstRing(startMs), startMs)
  const { keys } = published(ring)
  expect(keys.map(({ kid }) => kid)).toEqual(trusted(ring).map(({ kid }) => kid))
  for (const key of keys) expect(Object.keys(key)).toEqual(['kty', 'crv', 'x', 'y', 'kid', 'alg', 'use'])
})

it('signs with the key that was published before, when it turns', () => {
  const before = firstRing(startMs)
  const after = turned(before, startMs + 1_000)
  expect(states(after)).toEqual(['active', 'next', 'retired'])
  expect(activeOf(after).kid).toBe(kidOf(before, 'next'))
  expect(kidOf(after, 'retired')).toBe(kidOf(before, 'active'))
  expect(after.keys.filter(key => 'd' in key).map(({ state }) => state)).toEqual(['active', 'next'])
})

it('turns by itself when the active key is old, and not a moment before', () => {
  const ring = firstRing(startMs)
  expect(aged(ring, startMs + turnAfterMs - 1)).toBe(ring)
  expect(states(aged(ring, startMs + turnAfterMs))).toEqual(['active', 'next', 'retired'])
})

it('does not turn by itself to a key that is hardly known', () => {
  const ring = firstRing(startMs)
  const replaced = revoked(ring, kidOf(ring, 'next'), startMs + turnAfterMs - 1)
  const atMs = startMs + turnAfterMs - 1 + publishForMs
  expect(activeOf(aged(replaced, atMs - 1)).kid).toBe(activeOf(ring).kid)
  expect(activeOf(aged(replaced, atMs)).kid).toBe(kidOf(replaced, 'next'))
})

it('forgets a retired key when nothing that it signed can be taken any more', () => {
  const ring = turned(firstRing(startMs), startMs)
  expect(aged(ring, startMs + rememberForMs - 1)).toBe(ring)
  expect(states(aged(ring, startMs + rememberForMs))).toEqual(['active', 'next'])
})

it.for(['active', 'next', 'retired'])('trusts a key that was %s no more once it is revoked', state => {
  const before = turned(firstRing(startMs), startMs)
  const kid = kidOf(before, state)
  const after = revoked(before, kid, startMs + 1)
  expect(trusted(after).map(key => key.kid)).not.toContain(kid)
  expect(published(after).keys.map(key => key.kid)).not.toContain(kid)
  expect(after.keys.find(key => key.kid === kid)).toMatchObject({ state: 'revoked', sinceMs: startMs + 1 })
  expect(states(after).filter(each => each === 'active')).toHaveLength(1)
  expect(states(after).filter(each => each === 'next')).toHaveLength(1)
  expect(after.keys.filter(key => 'd' in key)).toHaveLength(2)
  expect(new Set(after.keys.map(key => key.kid)).size).toBe(after.keys.length)
})

it('revokes a key once, and none that it does not have', () => {
  const ring = revoked(firstRing(startMs), activeOf(firstRing(startMs)).kid, startMs)
  const once = revoked(ring, activeOf(ring).kid, startMs)
  expect(revoked(once, kidOf(once, 'revoked'), startMs + 1)).toBe(once)
  expect(revoked(once, 'unknown', startMs + 1)).toBe(once)
})

it('stays small however often it turns', () => {
  let ring = firstRing(startMs)
  for (let day = 1; day <= 30; day++)
    ring = aged(turned(ring, startMs + day * 86_400_000), startMs + day * 86_400_000)
  expect(states(ring)).toEqual(['active', 'next', 'retired'])
})

it('is plain data', () => {
  const ring = turned(firstRing(startMs), startMs)
  expect(JSON.parse(JSON.stringify(ring))).toEqual(ring)
})

it('says what is wrong with a ring that cannot sign', () => {
  expect(() => activeOf({ keys: [] })).toThrow('none of them is active')
})
