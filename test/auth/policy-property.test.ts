/**
 * The policy against an oracle that shares no code with it: random rules over few words, so that they meet often. The
 * seed is fixed; another one is SEED=…
 */
import { expect, it } from 'vitest'
import { type Level, levels, type Principal } from '../../auth/access.ts'
import { policyOf } from '../../auth/policy.ts'
import { parseRule } from '../../auth/rules.ts'
import { anonymous, repository, robot, user, workload } from '../helpers/principals.ts'
import { randomFrom } from '../helpers/random.ts'

interface Line {
  readonly level: Level
  readonly glob: string
  readonly to: readonly string[]
  readonly until?: string
}

const today = '2026-11-21'
const principals: readonly Principal[] = [
  anonymous,
  user('a'),
  user('b', 'g'),
  user('c', 'g', 'h'),
  robot('a'),
  workload('b'),
]

/** The highest level that a line grants, found by expressions and backtracking. */
function oracle(lines: readonly Line[], who: Principal, name: string): Level | undefined {
  const granted = lines.filter(({ glob, to, until }) => {
    const me = who.kind === 'user' ? who.name : '/'
    const pattern = glob
      .split('/')
      .map(part => (part === '**' ? '.+' : part === '{user}' ? me : part.replaceAll('*', '[^/]*')))
      .join('/')
    const mine = to.some(word => {
      if (word === 'anyone') return true
      if (word === 'signed-in') return who.kind === 'user'
      if (word.startsWith('@')) return who.kind === 'user' && who.groups.some(group => `@${group}` === word)
      return who.kind !== 'anonymous' && word === (who.kind === 'user' ? who.name : `${who.kind}:${who.name}`)
    })
    return mine && new RegExp(`^${pattern}$`).test(name) && !(until !== undefined && until < today)
  })
  return levels.findLast(level => granted.some(line => line.level === level))
}

const { oneOf, several } = randomFrom(Number(process.env.SEED ?? 4))

const randomName = () => several(4, () => oneOf(['a', 'b', 'ab', 'aab', 'c'])).join('/')
const randomGlob = () =>
  several(4, () => oneOf(['a', 'b', 'ab', '*', '**', '**', 'a*', '*b', 'a*b', '{user}'])).join('/')
const randomLine = (): Line => ({
  level: oneOf(levels),
  glob: randomGlob(),
  to: several(3, () =>
    oneOf(['anyone', 'signed-in', 'a', 'b', 'c', '@g', '@h', 'robot:a', 'robot:b', 'workload:b']),
  ),
  ...oneOf([{}, {}, { until: '2026-11-20' }, { until: today }]),
})
const policy = (lines: readonly Line[]) =>
  policyOf({
    rules: lines.map(({ level, glob, to, until }) =>
      parseRule({ rule: `${level} ${glob} ${to.join(' ')}`, until }),
    ),
    protections: [],
    now: () => Date.parse(`${today}T12:00Z`),
  })
const rank = (level: Level | undefined) => (level === undefined ? -1 : levels.indexOf(level))

/** What everybody may do, as a table. */
const answers = (lines: readonly Line[], names: readonly string[]) => {
  const { level } = policy(lines)
  return principals.flatMap(who => names.map(name => level(who, repository(name))))
}

const cases = Array.from({ length: 400 }, () => ({
  lines: several(8, randomLine),
  names: several(10, randomName),
}))

it('answers as the oracle does', () => {
  const wrong = cases.flatMap(({ lines, names }) => {
    const { level, permits } = policy(lines)
    return principals.flatMap(who =>
      names
        .filter(name => {
          const expected = oracle(lines, who, name)
          const isWrongAt = (each: Level) =>
            permits(who, each, repository(name)) !== rank(expected) >= rank(each)
          return level(who, repository(name)) !== expected || levels.some(isWrongAt)
        })
        .map(name => ({ lines, who, name })),
    )
  })
  expect(wrong).toEqual([])
})

it('asks the oracle about every level', () => {
  const seen = new Set(cases.flatMap(({ lines, names }) => answers(lines, names)))
  expect(seen).toEqual(new Set([undefined, ...levels]))
})

it('never lowers anybody by one rule more', () => {
  for (const { lines, names } of cases) {
    const before = answers(lines, names)
    const after = answers([...lines, randomLine()], names)
    expect(after.filter((level, index) => rank(level) < rank(before[index]))).toEqual([])
  }
})

it('does not mind the order of rules', () => {
  for (const { lines, names } of cases)
    expect(answers(lines.toReversed(), names)).toEqual(answers(lines, names))
})

it('changes nothing for anybody by a rule for somebody else', () => {
  for (const { lines, names } of cases)
    expect(answers([...lines, { level: 'admin', glob: '**', to: ['stranger'] }], names)).toEqual(
      answers(lines, names),
    )
})

it('says why with the rules that grant, and who can with everybody who has it', () => {
  for (const { lines, names } of cases) {
    const { level, why, whoCan } = policy(lines)
    for (const who of principals)
      for (const name of names) {
        const has = level(who, repository(name))
        const granting = why(who, repository(name)).filter(({ hasEnded }) => !hasEnded)
        expect(granting[0]?.rule.level).toBe(has)
        const rules = has === undefined ? [] : whoCan(has, repository(name)).map(({ rule }) => rule)
        expect(rules).toEqual(expect.arrayContaining(granting.slice(0, 1).map(({ rule }) => rule)))
      }
  }
})
