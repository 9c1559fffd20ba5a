import { expect, it } from 'vitest'
import { openToAll, parseIdentity, parsePrincipalName, wordOf } from '../../auth/access.ts'
import { anonymous, repository, robot, user, workload } from '../helpers/principals.ts'

it.for([
  [anonymous, 'anonymous'],
  [user('alice', 'team-a'), 'user:alice'],
  [robot('ci.x'), 'robot:ci.x'],
  [workload('gha_main'), 'workload:gha_main'],
] as const)('has a word for %j that leads back to it', ([principal, word]) => {
  expect(wordOf(principal)).toBe(word)
  const { groups: _, ...identity } = { groups: [], ...principal }
  expect(parseIdentity(word)).toEqual(identity)
})

it('takes a bare name for a user', () => {
  expect(parseIdentity('alice')).toEqual({ kind: 'user', name: 'alice' })
})

it.for([
  '',
  'Alice',
  'a b',
  '../x',
  'a/b',
  'a.',
  '-a',
  'a..b',
  'robot:',
  'robot:a:b',
  'group:a',
  '__proto__',
  'user:anyone',
  'signed-in',
  'a\n',
  'é',
  'a'.repeat(65),
])('knows nobody called %j', word => {
  expect(parseIdentity(word)).toBeUndefined()
})

it.for(['anonymous', 'anyone', 'signed-in'])('keeps the word %s to itself', word => {
  expect(parsePrincipalName(word)).toBeUndefined()
})

it('permits everything while it is open to all', () => {
  expect(openToAll.permits(anonymous, 'admin', repository('a/b'))).toBe(true)
})
