import { expect, it } from 'vitest'
import type { Level, Principal } from '../../auth/access.ts'
import { parseCeilingLine, underCeiling } from '../../auth/ceilings.ts'
import { policyOf } from '../../auth/policy.ts'
import { parseProtection } from '../../auth/protections.ts'
import { formatGrantee, parseRule, type RuleSource } from '../../auth/rules.ts'
import { parseTag } from '../../oci/names.ts'
import { anonymous, repository, robot, user, workload } from '../helpers/principals.ts'

const nowMs = Date.UTC(2026, 10, 21)

function policy(rules: readonly RuleSource[], protections: readonly string[] = []) {
  return policyOf({
    rules: rules.map(parseRule),
    protections: protections.map(parseProtection),
    now: () => nowMs,
  })
}

/** The configuration that the example is about. */
const example = policy(
  [
    'pull   public/**      anyone',
    'pull   **             signed-in',
    'push   team-a/**      @team-a robot:ci-team-a workload:gha-team-a',
    'delete team-a/**      bob',
    'push   {user}/**      signed-in',
    'admin  **             @platform',
    { rule: 'push sandbox/** erin', until: '2026-12-31', note: 'contractor' },
  ],
  ['immutable  **:v*', 'immutable  prod/**:*', 'no-delete  release/**'],
)

it.for<[principal: Principal, name: string, level: Level | undefined]>([
  [anonymous, 'public/tools', 'pull'],
  [anonymous, 'team-a/api', undefined],
  [user('dave'), 'team-a/api', 'pull'],
  [user('dave'), 'dave/scratch', 'push'],
  [user('dave'), 'bob/scratch', 'pull'],
  [user('bob', 'team-a'), 'team-a/api', 'delete'],
  [user('bob'), 'team-a/api', 'delete'],
  [user('carol', 'team-a'), 'team-a/api', 'push'],
  [robot('ci-team-a'), 'team-a/api', 'push'],
  [robot('ci-team-a'), 'team-b/x', undefined],
  [robot('ci-team-a'), 'public/tools', 'pull'],
  [workload('gha-team-a'), 'team-a/api', 'push'],
  [workload('ci-team-a'), 'team-a/api', undefined],
  [user('alice', 'platform'), 'prod/web', 'admin'],
  [user('erin'), 'sandbox/x', 'push'],
])('in the example, gives %j on %s the level %s', ([principal, name, level]) => {
  expect(example.level(principal, repository(name))).toBe(level)
})

it('in the example, ends the rule of erin with the year', () => {
  const lastMs = Date.UTC(2027, 0, 1)
  expect(example.level(user('erin'), repository('sandbox/x'), lastMs - 1)).toBe('push')
  expect(example.level(user('erin'), repository('sandbox/x'), lastMs)).toBe('pull')
})

it('in the example, narrows what bob may do with a token to its ceiling', () => {
  const token = underCeiling(example, [parseCeilingLine('pull team-a/api')])
  const bob = user('bob', 'team-a')
  expect(token.permits(bob, 'pull', repository('team-a/api'))).toBe(true)
  expect(token.permits(bob, 'push', repository('team-a/api'))).toBe(false)
  expect(token.permits(bob, 'pull', repository('team-a/web'))).toBe(false)
})

it('in the example, keeps an administrator from moving a tag that is immutable', () => {
  const change = { kind: 'move-tag', tag: parseTag('1.2') } as const
  expect(example.permits(user('alice', 'platform'), 'push', repository('prod/web'))).toBe(true)
  expect(example.protectionAgainst(change, repository('prod/web'))?.text).toBe('immutable prod/**:*')
})

it('includes in each level those before it, and none after', () => {
  const { permits } = policy(['push a/** bob'])
  const asked = (['pull', 'push', 'delete', 'admin'] as const).map(level =>
    permits(user('bob'), level, repository('a/b')),
  )
  expect(asked).toEqual([true, true, false, false])
})

it('lets every user delete everywhere, and no one else anything, while there is no rule', () => {
  const { level } = policy([])
  expect(level(user('bob'), repository('a'))).toBe('delete')
  expect(level(anonymous, repository('a'))).toBeUndefined()
  expect(level(robot('bob'), repository('a'))).toBeUndefined()
  expect(level(workload('bob'), repository('a'))).toBeUndefined()
})

it('replaces that by the first rule', () => {
  expect(policy(['pull a/** carol']).level(user('bob'), repository('a/b'))).toBeUndefined()
})

it('keeps administrators whatever the rules are', () => {
  for (const rules of [[], ['pull a/** carol']])
    expect(policy(rules).level(user('root', 'administrators'), repository('x/y'))).toBe('admin')
})

it('takes a robot, a workload and a user of one name for three', () => {
  const { level } = policy(['pull a user1', 'push a robot:user1', 'delete a workload:user1'])
  expect(level(user('user1'), repository('a'))).toBe('pull')
  expect(level(robot('user1'), repository('a'))).toBe('push')
  expect(level(workload('user1'), repository('a'))).toBe('delete')
})

it('gives nobody but a user anything by {user}', () => {
  const { level } = policy(['push {user}/** anyone robot:ci'])
  expect(level(user('ci'), repository('ci/x'))).toBe('push')
  expect(level(robot('ci'), repository('ci/x'))).toBeUndefined()
  expect(level(anonymous, repository('anonymous/x'))).toBeUndefined()
})

it('refuses while the clock is broken what has an end', () => {
  const broken = policyOf({
    rules: [parseRule({ rule: 'push ** bob', until: '2099-12-31' })],
    protections: [],
    now: () => Number.NaN,
  })
  expect(broken.permits(user('bob'), 'pull', repository('a'))).toBe(false)
})

it('refuses when a question cannot be answered', () => {
  const broken = policyOf({
    rules: [parseRule('admin ** anyone')],
    protections: [],
    now: () => {
      throw new Error('no clock')
    },
  })
  expect(broken.permits(anonymous, 'pull', repository('a'))).toBe(false)
})

it('refuses a level that it does not know', () => {
  expect(policy(['admin ** bob']).permits(user('bob'), 'constructor' as Level, repository('a'))).toBe(false)
})

it('says why: every rule, the highest first, and which have ended', () => {
  const { why } = policy([
    'pull ** signed-in',
    'push team-a/** @team-b @team-a',
    'delete team-b/** bob',
    { rule: 'delete team-a/** bob', until: '2026-11-20' },
  ])
  const reasons = why(user('bob', 'team-a'), repository('team-a/api'))
  expect(reasons.map(({ rule, as, hasEnded }) => [rule.text, formatGrantee(as), hasEnded])).toEqual([
    ['delete team-a/** bob', 'bob', true],
    ['push team-a/** @team-b @team-a', '@team-a', false],
    ['pull ** signed-in', 'signed-in', false],
  ])
  expect(why(anonymous, repository('team-a/api'))).toEqual([])
})

it('says who can', () => {
  const { whoCan } = policy([
    'pull ** signed-in',
    'push team-a/** @team-a robot:ci',
    'push {user}/** signed-in bob robot:ci',
    { rule: 'push team-a/** erin', until: '2026-11-20' },
  ])
  const holders = whoCan('push', repository('team-a/bob'))
  expect(holders.map(({ who, onlyUser }) => [formatGrantee(who), onlyUser])).toEqual([
    ['@administrators', undefined],
    ['@team-a', undefined],
    ['robot:ci', undefined],
    ['signed-in', 'team-a'],
  ])
  expect(
    whoCan('push', repository('bob/x')).map(({ who, onlyUser }) => [formatGrantee(who), onlyUser]),
  ).toEqual([
    ['@administrators', undefined],
    ['signed-in', 'bob'],
    ['bob', 'bob'],
  ])
})

it.for([
  ['', 1],
  ['pull', 5],
  ['read a', 1],
  ['pull a bob', 8],
  ['pull {user}/**', 6],
  ['pull A', 6],
] as const)('refuses the ceiling %j at position %i', ([line, position]) => {
  expect(() => parseCeilingLine(line)).toThrow(expect.objectContaining({ name: 'GrammarError', position }))
})

it('permits nothing under a ceiling without lines, and never more than the policy', () => {
  const bobs = policy(['pull a bob'])
  expect(underCeiling(bobs, []).permits(user('bob'), 'pull', repository('a'))).toBe(false)
  const high = underCeiling(bobs, [parseCeilingLine('admin **')])
  expect(high.permits(user('bob'), 'pull', repository('a'))).toBe(true)
  expect(high.permits(user('bob'), 'push', repository('a'))).toBe(false)
})
