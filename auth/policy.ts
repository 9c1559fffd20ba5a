/**
 * The whole authorizer. A level is the highest that any rule grants: rules add up, none takes away, and what no rule
 * grants is refused. Everything that asks who may do what asks here.
 */
import type { RepositoryName } from '../oci/names.ts'
import { type AccessPolicy, administrators, type Level, levels, type Principal } from './access.ts'
import { everything } from './globs.ts'
import { type Change, type Protection, protectionAgainst } from './protections.ts'
import { type Grantee, parseRule, type Rule } from './rules.ts'

export interface Policy extends AccessPolicy {
  /** The highest level; undefined where there is none. */
  level(principal: Principal, name: RepositoryName, nowMs?: number): Level | undefined
  /** Every rule that is about a principal and a repository, highest level first, those that have ended included. */
  why(principal: Principal, name: RepositoryName): readonly Reason[]
  /** Everybody who has this level on a repository, and by which rule; highest level first. */
  whoCan(level: Level, name: RepositoryName): readonly Holder[]
  /** What refuses a change of a repository to everybody; undefined where nothing does. */
  protectionAgainst(change: Change, name: RepositoryName): Protection | undefined
  /** Whether any change of a repository is refused to everybody. */
  isProtected(name: RepositoryName): boolean
}

export interface Reason {
  readonly rule: Rule
  /** Whom of those that the rule names the principal is. */
  readonly as: Grantee
  readonly hasEnded: boolean
}

export interface Holder {
  readonly who: Grantee
  readonly rule: Rule
  /** For a pattern with `{user}`: the only user of `who` that is meant. */
  readonly onlyUser?: string
}

export interface PolicySource {
  readonly rules: readonly Rule[]
  readonly protections: readonly Protection[]
  /** ms since the epoch. */
  readonly now: () => number
}

/** What stands as long as nobody has written a rule. */
export const defaultRule = parseRule('delete ** signed-in')

/** What stands always: writing rules must not shut out who writes them. */
export const administratorsRule = parseRule(`admin ** @${administrators}`)

/** Compiles rules into a policy. Questions are answered from memory, without a trace, in time linear in the rules. */
export function policyOf({ rules, protections, now }: PolicySource): Policy {
  const all = [administratorsRule, ...(rules.length > 0 ? rules : [defaultRule])].toSorted(
    (a, b) => rankOf[b.level] - rankOf[a.level],
  )
  const about = (principal: Principal, name: RepositoryName) => {
    const user = principal.kind === 'user' ? principal.name : undefined
    return all.flatMap(rule => {
      const as = rule.to.find(grantee => includes(grantee, principal))
      return as && rule.repositories.matches(name, user) ? [{ rule, as }] : []
    })
  }

  function level(principal: Principal, name: RepositoryName, nowMs = now()): Level | undefined {
    const user = principal.kind === 'user' ? principal.name : undefined
    for (const rule of all)
      if (
        rule.repositories.matches(name, user) &&
        isInForce(rule, nowMs) &&
        rule.to.some(grantee => includes(grantee, principal))
      )
        return rule.level
    return undefined
  }

  return {
    level,
    permits(principal, needed, name) {
      try {
        const has = level(principal, name)
        return has !== undefined && rankOf[has] >= rankOf[needed]
      } catch {
        return false
      }
    },
    permitsEverywhere(principal, needed) {
      const nowMs = now()
      return all.some(
        rule =>
          rule.repositories.text === everything &&
          rankOf[rule.level] >= rankOf[needed] &&
          isInForce(rule, nowMs) &&
          rule.to.some(grantee => includes(grantee, principal)),
      )
    },
    reach(principal) {
      const user = principal.kind === 'user' ? principal.name : undefined
      return all
        .filter(rule => rule.to.some(grantee => includes(grantee, principal)))
        .map(rule => rule.repositories.beginning(user))
    },
    why(principal, name) {
      const nowMs = now()
      return about(principal, name).map(found => ({ ...found, hasEnded: !isInForce(found.rule, nowMs) }))
    },
    whoCan(needed, name) {
      const nowMs = now()
      return all
        .filter(rule => rankOf[rule.level] >= rankOf[needed] && isInForce(rule, nowMs))
        .flatMap(rule => holdersBy(rule, name))
    },
    protectionAgainst: (change, name) => protectionAgainst(protections, change, name),
    isProtected: name => protections.some(({ repositories }) => repositories.matches(name)),
  }
}

// Object.fromEntries forgets which keys it was given.
const rankOf = Object.fromEntries(levels.map((level, rank) => [level, rank])) as Record<Level, number>

/** Asked so that a clock that says NaN ends a rule instead of prolonging it. */
const isInForce = ({ untilMs }: Rule, nowMs: number) => untilMs === undefined || nowMs < untilMs

function includes(grantee: Grantee, principal: Principal): boolean {
  switch (grantee.kind) {
    case 'anyone':
      return true
    case 'signed-in':
      return principal.kind === 'user'
    case 'group':
      return principal.kind === 'user' && principal.groups.includes(grantee.name)
    case 'user':
    case 'robot':
    case 'workload':
      return principal.kind === grantee.kind && principal.name === grantee.name
  }
}

/** `{user}` is a segment of the name, so only words of the name can be the user that it means. */
function holdersBy(rule: Rule, name: RepositoryName): readonly Holder[] {
  if (!rule.repositories.isPersonal)
    return rule.repositories.matches(name) ? rule.to.map(who => ({ who, rule })) : []
  const users = [...new Set(name.split('/'))].filter(word => rule.repositories.matches(name, word))
  return users.flatMap(onlyUser =>
    rule.to
      .filter(who => who.kind !== 'robot' && who.kind !== 'workload')
      .filter(who => who.kind !== 'user' || who.name === onlyUser)
      .map(who => ({ who, rule, onlyUser })),
  )
}
