/** The judge of recorded histories. */
import { describe, expect, it } from 'vitest'
import { type Operation, unorderable, type Value } from './helpers/linearizable.ts'

const never = Number.POSITIVE_INFINITY
const read = (calledMs: number, returnedMs: number, found: Value): Operation => ({
  step: { kind: 'read', found },
  calledMs,
  returnedMs,
})
const write = (
  calledMs: number,
  returnedMs: number,
  to: Value,
  onlyIf?: (now: Value) => boolean,
): Operation => ({ step: { kind: 'write', to, ...(onlyIf && { onlyIf }) }, calledMs, returnedMs })
const refused = (calledMs: number, returnedMs: number, onlyIf: (now: Value) => boolean): Operation => ({
  step: { kind: 'refused', onlyIf },
  calledMs,
  returnedMs,
})
const absent = (now: Value) => now === undefined
const is = (value: Value) => (now: Value) => now === value

describe('a history that can have happened', () => {
  it.for<[string, readonly Operation[]]>([
    ['of nothing', []],
    ['in a row', [read(0, 1, undefined), write(2, 3, 'a'), read(4, 5, 'a')]],
    ['of a read beside a write that saw it', [write(0, 10, 'a'), read(1, 2, 'a'), read(3, 4, 'a')]],
    ['of a read beside a write that did not', [write(0, 10, 'a'), read(1, 2, undefined), read(3, 4, 'a')]],
    ['of two writes at once', [write(0, 10, 'a'), write(0, 10, 'b'), read(11, 12, 'a')]],
    [
      'of a write nobody knows of, which happened',
      [write(0, never, 'a'), read(1, 2, undefined), read(8, 9, 'a')],
    ],
    ['of a write nobody knows of, which did not', [write(0, never, 'a'), read(1, 2, undefined)]],
    ['of a removal', [write(0, 1, 'a'), write(2, 3, undefined, is('a')), read(4, 5, undefined)]],
    ['of one who wins', [write(0, 9, 'a', absent), refused(0, 9, absent), read(10, 11, 'a')]],
    [
      'of a condition on what is written meanwhile',
      [write(0, 9, 'a'), write(0, 9, 'b', is('a')), read(10, 11, 'b')],
    ],
  ])('%s', ([, history]) => {
    expect(unorderable(history)).toBeUndefined()
  })
})

describe('a history that cannot have happened', () => {
  it.for<[string, readonly Operation[]]>([
    ['of a write that is lost', [write(0, 1, 'a'), read(2, 3, undefined)]],
    ['of a read of what was replaced', [write(0, 1, 'a'), write(2, 3, 'b'), read(4, 5, 'a')]],
    ['of reads that go back', [write(0, 10, 'a'), read(1, 2, 'a'), read(3, 4, undefined)]],
    [
      'of two readers of two orders',
      [write(0, 10, 'a'), write(0, 10, 'b'), read(11, 12, 'a'), read(13, 14, 'b')],
    ],
    ['of two who win', [write(0, 9, 'a', absent), write(0, 9, 'b', absent), read(10, 11, 'b')]],
    ['of nobody who wins', [refused(0, 9, absent), refused(0, 9, absent)]],
    ['of one who was refused what held', [write(0, 1, 'a'), refused(2, 3, is('a'))]],
    ['of a read of what nobody wrote', [write(0, 1, 'a'), read(2, 3, 'b')]],
    [
      'of a write nobody knows of, which happened before it was asked for',
      [read(0, 1, 'a'), write(2, never, 'a')],
    ],
    [
      'of a write nobody knows of, which happened twice',
      [write(0, never, 'a'), write(1, 2, 'b'), read(3, 4, 'a'), write(5, 6, 'b'), read(7, 8, 'a')],
    ],
    [
      'of what came back after its removal',
      [write(0, 1, 'a'), write(2, 3, undefined, is('a')), read(4, 5, undefined), read(6, 7, 'a')],
    ],
  ])('%s', ([, history]) => {
    expect(unorderable(history)).toMatch(/and not after that/)
  })
})

it('judges long histories of many clients, whatever nobody knows of', () => {
  const history: Operation[] = []
  for (let at = 0; at < 200; at++) {
    const value = `v${at}`
    history.push(write(at * 10, at * 10 + 15, value), read(at * 10 + 3, at * 10 + 14, value))
    if (at % 20 === 0) history.push(write(at * 10, never, `lost ${at}`))
  }
  expect(unorderable(history)).toBeUndefined()
  expect(unorderable([...history, read(5000, 5001, 'v7')])).toMatch(/and not after that/)
}, 60_000)
