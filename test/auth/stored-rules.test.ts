import { expect, it } from 'vitest'
import { emptyState } from '../../auth/state.ts'
import { addProtection, addRule, removeProtection, removeRule } from '../../auth/stored-rules.ts'

const rule = (text: string, more = {}) => ({ id: 'a', rule: text, createdMs: 1, ...more })
const protection = (text: string) => ({ id: 'p', protection: text, createdMs: 1 })

it('keeps a rule with single spaces, and what was said beside it', () => {
  const state = addRule(
    emptyState,
    rule('push  team-a/**   bob', { until: '2026-12-31', note: 'contractor' }),
  )
  expect(state.rules).toEqual([
    { id: 'a', rule: 'push team-a/** bob', until: '2026-12-31', note: 'contractor', createdMs: 1 },
  ])
  expect(addRule(emptyState, rule('pull a anyone', { until: undefined })).rules[0]).not.toHaveProperty(
    'until',
  )
})

it.for([
  ['psh a bob', {}, 'unknown level "psh"'],
  ['push a', {}, 'an access rule names nobody'],
  ['push a bob', { until: 'tomorrow' }, 'until "tomorrow" is no date'],
  ['push a bob', { note: 'two\nlines' }, 'a note is one line of at most 200 characters'],
  ['push a bob', { note: 'login with slw_p_abcdefghij_0123' }, 'a note is no place for a secret'],
  ['push a bob', { note: '' }, 'a note is one line of at most 200 characters'],
] as const)('refuses %j %j', ([text, more, message]) => {
  expect(() => addRule(emptyState, rule(text, more))).toThrow(message)
})

it('refuses a rule that is there, unless it ends at another time', () => {
  const state = addRule(emptyState, rule('push a bob'))
  expect(() => addRule(state, rule('push  a bob', { id: 'b' }))).toThrow('this rule is there already: a')
  expect(addRule(state, rule('push a bob', { id: 'b', until: '2030-01-01' })).rules).toHaveLength(2)
})

it('removes a rule by its id', () => {
  const state = addRule(addRule(emptyState, rule('push a bob')), rule('pull a bob', { id: 'b' }))
  expect(removeRule(state, 'a').rules.map(({ id }) => id)).toEqual(['b'])
  expect(() => removeRule(state, 'c')).toThrow('no stored rule has the id "c": see slipway access list')
})

it('keeps and removes protections', () => {
  const state = addProtection(emptyState, protection('immutable  prod/**:v*'))
  expect(state.protections).toEqual([{ id: 'p', protection: 'immutable prod/**:v*', createdMs: 1 }])
  expect(() => addProtection(state, protection('immutable prod/**:v*'))).toThrow('is there already: p')
  expect(() => addProtection(state, protection('eternal a'))).toThrow('unknown protection "eternal"')
  expect(removeProtection(state, 'p').protections).toEqual([])
  expect(() => removeProtection(state, 'q')).toThrow(
    'no stored protection has the id "q": see slipway protect list',
  )
})
