/** What a token is granted, for random policies, ceilings and requests. Another seed is SEED=… */
import { expect, it } from 'vitest'
import { levels } from '../../auth/access.ts'
import { parseCeilingLine, underCeiling } from '../../auth/ceilings.ts'
import { policyOf } from '../../auth/policy.ts'
import { parseRule } from '../../auth/rules.ts'
import { type Access, formatScopes, grantedOf, parseScopes } from '../../auth/scopes.ts'
import { repository, user } from '../helpers/principals.ts'
import { randomFrom } from '../helpers/random.ts'

const { oneOf, several } = randomFrom(Number(process.env.SEED ?? 4))
const bob = user('bob')
const glob = () => oneOf(['**', 'a/**', 'a/b', 'b/*', '*/b', 'c'])
const scope = () => {
  const actions = several(3, () => oneOf(['pull', 'push', 'delete', '*', 'admin', 'fly']))
  return `repository:${oneOf(['a/b', 'b/b', 'b/a', 'c', 'C'])}:${actions.join(',')}`
}

const cases = Array.from({ length: 1_000 }, () => {
  const policy = policyOf({
    rules: several(4, () => parseRule(`${oneOf(levels)} ${glob()} bob`)),
    protections: [],
    now: () => 0,
  })
  const token = underCeiling(
    policy,
    several(2, () => parseCeilingLine(`${oneOf(levels)} ${glob()}`)),
  )
  const asked = parseScopes(several(4, scope))
  return {
    policy,
    token,
    asked,
    granted: grantedOf(asked, (action, name) => token.permits(bob, action, name)),
  }
})

const single = (access: readonly Access[]) =>
  access.flatMap(each =>
    each.type === 'repository' ? each.actions.map(action => ({ action, name: each.name })) : [],
  )

it('is never more than what was asked for, what the rules grant, and what the ceiling leaves', () => {
  for (const { policy, token, asked, granted } of cases) {
    const wanted = single(asked).map(({ action, name }) => `${action} ${name}`)
    for (const { action, name } of single(granted)) {
      expect(wanted).toContain(`${action} ${name}`)
      expect(policy.permits(bob, action, name)).toBe(true)
      expect(token.permits(bob, action, name)).toBe(true)
    }
  }
})

it('is all of that', () => {
  for (const { token, asked, granted } of cases) {
    const due = single(asked).filter(({ action, name }) => token.permits(bob, action, name))
    expect(single(granted)).toEqual(due)
  }
})

it('asks for the same thing when it is asked for again', () => {
  for (const { granted } of cases) expect(parseScopes([formatScopes(granted)])).toEqual(granted)
})

it('is now nothing, now something, now everything', () => {
  const shares = cases.map(
    ({ asked, granted }) =>
      Math.sign(single(granted).length) + Number(single(granted).length === single(asked).length),
  )
  expect(new Set(shares)).toEqual(new Set([0, 1, 2]))
})

it('says of every repository only what holds for each', () => {
  const answers = cases.flatMap(({ policy, token }) =>
    [policy, token].flatMap(each =>
      levels.map(level => {
        const isEverywhere = each.permitsEverywhere(bob, level)
        for (const text of ['a/b', 'b/b', 'c', 'x/y/z'])
          if (isEverywhere) expect(each.permits(bob, level, repository(text))).toBe(true)
        return isEverywhere
      }),
    ),
  )
  expect(new Set(answers)).toEqual(new Set([true, false]))
})
