import { expect, it } from 'vitest'
import { parsePrincipalName } from '../../auth/access.ts'
import { parseRule } from '../../auth/rules.ts'
import { emptyState } from '../../auth/state.ts'
import { legacies, placeOf, sourcedRules } from '../../cli/rule-sources.ts'
import { noAccessSettings } from '../../server/access-control.ts'

const settingsSource = () => 'slipway.yaml:3'
const stored = {
  ...emptyState,
  rules: [{ id: 'abcdefgh', rule: 'push a bob', until: '2030-12-31', createdMs: 1 }],
}

it('shows the rules of the settings and of the store, each with where it is written', () => {
  const settings = {
    ...noAccessSettings,
    rules: [parseRule({ rule: 'pull ** anyone', until: '2030-01-01T12:00Z' })],
  }
  const all = sourcedRules(stored, { settings, settingsSource })
  expect(all.map(({ rule, id, until, source }) => [rule.text, id, until, source])).toEqual([
    ['admin ** @administrators', undefined, undefined, 'built in'],
    ['pull ** anyone', undefined, '2030-01-01T12:00:00.000Z', 'slipway.yaml:3'],
    ['push a bob', 'abcdefgh', '2030-12-31', 'store'],
  ])
})

it('shows the rule that stands as long as nobody has written one, in either place', () => {
  const texts = (state: typeof stored | typeof emptyState, rules = noAccessSettings.rules) =>
    sourcedRules(state, { settings: { ...noAccessSettings, rules }, settingsSource }).map(
      ({ rule }) => rule.text,
    )
  expect(texts(emptyState)).toEqual(['admin ** @administrators', 'delete ** signed-in'])
  expect(texts(stored)).toEqual(['admin ** @administrators', 'push a bob'])
})

it('knows a stored rule by its id, and others by where they stand', () => {
  const all = sourcedRules(stored, { settings: noAccessSettings, settingsSource })
  expect(all.map(({ rule }) => placeOf(rule, all))).toEqual(['built in', 'abcdefgh'])
})

it('tells what a later one of the same name would have, wherever that is written', () => {
  const bob = parsePrincipalName('bob') ?? raise()
  const settings = {
    ...noAccessSettings,
    rules: [parseRule('pull ** robot:bob'), parseRule('pull b alice bob')],
    groups: new Map([[parsePrincipalName('web') ?? raise(), [bob]]]),
  }
  const folder = { settings, settingsSource }
  expect(legacies('user', bob, stored, folder)).toEqual([
    'have what slipway.yaml:3 grants: pull b alice bob',
    'have what rule abcdefgh grants: push a bob',
    'be in the group web of the settings',
  ])
  // A robot is in no group.
  expect(legacies('robot', bob, stored, folder)).toEqual([
    'have what slipway.yaml:3 grants: pull ** robot:bob',
  ])
})

function raise(): never {
  throw new Error('no name')
}
