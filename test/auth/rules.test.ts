import { expect, it } from 'vitest'
import { formatGrantee, parseRule, type RuleSource } from '../../auth/rules.ts'

it('parses a line into its level, its pattern and whom it is for', () => {
  const rule = parseRule('push  team-a/**   @team-a robot:ci-team-a workload:gha bob anyone signed-in')
  expect(rule).toMatchObject({
    text: 'push team-a/** @team-a robot:ci-team-a workload:gha bob anyone signed-in',
    level: 'push',
    repositories: { text: 'team-a/**' },
    to: [
      { kind: 'group', name: 'team-a' },
      { kind: 'robot', name: 'ci-team-a' },
      { kind: 'workload', name: 'gha' },
      { kind: 'user', name: 'bob' },
      { kind: 'anyone' },
      { kind: 'signed-in' },
    ],
  })
  expect(rule.to.map(formatGrantee).join(' ')).toBe(
    '@team-a robot:ci-team-a workload:gha bob anyone signed-in',
  )
})

it.for([
  ['2026-12-31', '2027-01-01T00:00:00.000Z'],
  ['2028-02-29', '2028-03-01T00:00:00.000Z'],
  ['2026-12-31T18:00Z', '2026-12-31T18:00:00.000Z'],
  ['2026-12-31T18:00:30Z', '2026-12-31T18:00:30.000Z'],
] as const)('ends a rule until %s at %s', ([until, end]) => {
  const rule = parseRule({ rule: 'push sandbox/** erin', until, note: 'contractor' })
  expect(new Date(rule.untilMs ?? 0).toISOString()).toBe(end)
  expect(rule.note).toBe('contractor')
})

it('has no end and no note where none is given', () => {
  expect(parseRule({ rule: 'pull ** signed-in' })).not.toHaveProperty('untilMs')
  expect(parseRule({ rule: 'pull ** signed-in', until: undefined })).not.toHaveProperty('untilMs')
  expect(parseRule('pull ** signed-in')).not.toHaveProperty('note')
})

it.for<[source: RuleSource, position: number, message: RegExp]>([
  ['', 1, /empty.*push team-a/],
  ['   ', 1, /empty/],
  ['read ** bob', 1, /unknown level "read": expected pull, push, delete, admin/],
  ['PULL ** bob', 1, /unknown level/],
  [' constructor ** bob', 2, /unknown level/],
  ['pull', 5, /names no repositories/],
  ['pull **', 8, /names nobody: expected LEVEL PATTERN WHO/],
  ['pull ** Bob', 9, /"Bob" names nobody: expected anyone, signed-in, NAME, @GROUP/],
  ['pull ** bob @', 13, /"@" names nobody/],
  ['pull ** robot:', 9, /names nobody/],
  ['pull ** robot:a:b', 9, /names nobody/],
  ['pull ** user:bob', 9, /names nobody/],
  ['pull ** anonymous', 9, /names nobody/],
  ['pull ** @anyone', 9, /names nobody/],
  ['pull ** robot:signed-in', 9, /names nobody/],
  ['pull ** bob,carol', 9, /names nobody/],
  ['pull **\tbob', 6, /\*\* stands for whole segments/],
  ['pull ** bo\u0000b', 9, /names nobody/],
  [`pull ** ${'a'.repeat(65)}`, 9, /at most 64/],
  ['pull a//b bob', 8, /no empty segments/],
  ['pull /a bob', 6, /no empty segments/],
  ['pull team/Api bob', 11, /unexpected "A".*lower-case/],
  ['pull a/b** bob', 9, /\*\* stands for whole segments/],
  ['pull a/{user}-x bob', 8, /\{user\} stands for a whole segment/],
  ['pull a/{group} bob', 8, /unexpected "\{"/],
  ['pull team/[ab] bob', 11, /unexpected "\["/],
  ['pull team/a..b bob', 11, /no repository can have the segment "a..b"/],
  ['pull release/**:v* bob', 14, /\*\* stands for whole segments/],
  [`pull ${'a/'.repeat(32)}a bob`, 6, /at most 32 segments/],
  [`pull ${'a'.repeat(256)} bob`, 6, /at most 255 characters/],
  [{ rule: 'pull ** bob', until: 'tomorrow' }, 1, /until "tomorrow" is no date: expected 2026-12-31/],
  [{ rule: 'pull ** bob', until: '2026-02-30' }, 1, /is no date/],
  [{ rule: 'pull ** bob', until: '2026-13-01' }, 1, /is no date/],
  [{ rule: 'pull ** bob', until: '2026-12-31T25:00Z' }, 1, /is no date/],
  [{ rule: 'pull ** bob', until: '2026-12-31T18:00' }, 1, /is no date/],
  [{ rule: 'pull ** bob', until: '' }, 1, /is no date/],
])('refuses %j at position %i', ([source, position, message]) => {
  expect(() => parseRule(source)).toThrow(
    expect.objectContaining({ name: 'GrammarError', position, message: expect.stringMatching(message) }),
  )
})
