/**
 * The grammar of access rules:
 *
 *   rule = level SP pattern 1*( SP who )     push team-a/** @team-a robot:ci
 *   who  = anyone | signed-in | NAME | @GROUP | robot:NAME | workload:NAME
 *
 * or an object with such a line as `rule`, and `until`, `note`. Rules only ever add up, so their order means nothing.
 */
import { type Level, levels, type PrincipalName, parsePrincipalName, principalNameForm } from './access.ts'
import { GrammarError } from './errors.ts'
import { type Glob, parseGlob } from './globs.ts'

/** Whom a rule is for. `signed-in` is every user and no machine; `anyone` is everyone. */
export type Grantee =
  | { readonly kind: 'anyone' }
  | { readonly kind: 'signed-in' }
  | { readonly kind: 'user' | 'group' | 'robot' | 'workload'; readonly name: PrincipalName }

export interface Rule {
  /** The line as it was written, with single spaces. */
  readonly text: string
  readonly level: Level
  readonly repositories: Glob
  readonly to: readonly Grantee[]
  /** ms since the epoch from which it grants nothing any more. */
  readonly untilMs?: number
  readonly note?: string
}

export type RuleSource =
  | string
  | { readonly rule: string; readonly until?: string | undefined; readonly note?: string | undefined }

/** Throws a GrammarError that says where and what is accepted. */
export function parseRule(source: RuleSource): Rule {
  if (typeof source === 'string') return parseLine(source)
  const { rule, until, note } = source
  return {
    ...parseLine(rule),
    ...(until !== undefined && { untilMs: parseUntil(until) }),
    ...(note !== undefined && { note }),
  }
}

/** A word of a line, and where it begins, counted from 1. */
export interface Word {
  readonly text: string
  readonly position: number
}

/** What stands between the spaces of a line. */
export function wordsOf(line: string): readonly Word[] {
  return [...line.matchAll(/[^ ]+/g)].map(match => ({ text: match[0], position: match.index + 1 }))
}

/** The pattern at a word; a GrammarError counts from the line's beginning. */
export function globAt({ text, position }: Word): Glob {
  try {
    return parseGlob(text)
  } catch (error) {
    if (!(error instanceof GrammarError)) throw error
    throw new GrammarError(error.message, position + error.position - 1, { cause: error })
  }
}

/** A grantee as rules spell it. */
export function formatGrantee(grantee: Grantee): string {
  switch (grantee.kind) {
    case 'anyone':
    case 'signed-in':
      return grantee.kind
    case 'user':
      return grantee.name
    case 'group':
      return `@${grantee.name}`
    case 'robot':
    case 'workload':
      return `${grantee.kind}:${grantee.name}`
  }
}

const form = 'expected LEVEL PATTERN WHO…, such as: push team-a/** @team-a robot:ci'
const granteeForm = 'anyone, signed-in, NAME, @GROUP, robot:NAME or workload:NAME'

function parseLine(line: string): Rule {
  const [level, pattern, ...who] = wordsOf(line)
  const end = line.length + 1
  if (!level) throw new GrammarError(`an access rule is empty: ${form}`)
  const known = levels.find(each => each === level.text)
  if (!known)
    throw new GrammarError(
      `unknown level ${quoted(level.text)}: expected ${levels.join(', ')}`,
      level.position,
    )
  if (!pattern) throw new GrammarError(`an access rule names no repositories: ${form}`, end)
  const repositories = globAt(pattern)
  if (who.length === 0) throw new GrammarError(`an access rule names nobody: ${form}`, end)
  const text = [level, pattern, ...who].map(word => word.text).join(' ')
  return { text, level: known, repositories, to: who.map(parseGrantee) }
}

function parseGrantee({ text, position }: Word): Grantee {
  if (text === 'anyone' || text === 'signed-in') return { kind: text }
  const [, prefix = '', rest = ''] = /^(@|robot:|workload:|)(.*)$/.exec(text) ?? []
  const name = parsePrincipalName(rest)
  if (name === undefined)
    throw new GrammarError(
      `${quoted(text)} names nobody: expected ${granteeForm}; a name is ${principalNameForm}`,
      position,
    )
  return { kind: kindOf[prefix as keyof typeof kindOf], name }
}

/** The prefixes that the expression in `parseGrantee` lets through. */
const kindOf = { '': 'user', '@': 'group', 'robot:': 'robot', 'workload:': 'workload' } as const

/** A day ends when it is over everywhere we count: at midnight UTC after it. */
function parseUntil(text: string): number {
  const dayMs = 86_400_000
  const isDay = /^\d{4}-\d\d-\d\d$/.test(text)
  const isInstant = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?Z$/.test(text)
  const ms = isDay || isInstant ? Date.parse(text) : Number.NaN
  // Date.parse takes 2026-02-30 for a day in March.
  if (Number.isNaN(ms) || !new Date(ms).toISOString().startsWith(text.slice(0, 10)))
    throw new GrammarError(
      `until ${quoted(text)} is no date: expected 2026-12-31, the last day, or 2026-12-31T18:00Z`,
    )
  return isDay ? ms + dayMs : ms
}

const quoted = (text: string) => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
