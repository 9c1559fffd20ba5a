/** What becomes of stored rules and protections. Each change throws ChangeRefused, or a GrammarError, where it must not be made. */
import { ChangeRefused } from './errors.ts'
import { parseProtection } from './protections.ts'
import { withoutSecrets } from './redact.ts'
import { parseRule } from './rules.ts'
import type { AccessState } from './state.ts'

export interface NewRule {
  readonly id: string
  readonly rule: string
  readonly until?: string | undefined
  readonly note?: string | undefined
  readonly createdMs: number
}

const maxNoteLength = 200

export function addRule(state: AccessState, { id, rule, until, note, createdMs }: NewRule): AccessState {
  const source = { rule, ...(until !== undefined && { until }), ...(note !== undefined && { note }) }
  const { text } = parseRule(source)
  if (note !== undefined && (note === '' || note.length > maxNoteLength || /\p{Cc}/u.test(note)))
    throw new ChangeRefused(`a note is one line of at most ${maxNoteLength} characters`)
  if (note !== undefined && withoutSecrets(note) !== note)
    throw new ChangeRefused('a note is no place for a secret: everybody who may list rules can read it')
  const same = state.rules.find(each => each.rule === text && each.until === until)
  if (same) throw new ChangeRefused(`this rule is there already: ${same.id}`)
  return { ...state, rules: [...state.rules, { id, ...source, rule: text, createdMs }] }
}

export function removeRule(state: AccessState, id: string): AccessState {
  return { ...state, rules: without(state.rules, id, 'rule', 'access') }
}

export interface NewProtection {
  readonly id: string
  readonly protection: string
  readonly createdMs: number
}

export function addProtection(state: AccessState, { id, protection, createdMs }: NewProtection): AccessState {
  const { text } = parseProtection(protection)
  const same = state.protections.find(each => each.protection === text)
  if (same) throw new ChangeRefused(`this protection is there already: ${same.id}`)
  return { ...state, protections: [...state.protections, { id, protection: text, createdMs }] }
}

export function removeProtection(state: AccessState, id: string): AccessState {
  return { ...state, protections: without(state.protections, id, 'protection', 'protect') }
}

function without<Stored extends { readonly id: string }>(
  all: readonly Stored[],
  id: string,
  what: string,
  command: string,
): readonly Stored[] {
  const rest = all.filter(each => each.id !== id)
  if (rest.length < all.length) return rest
  throw new ChangeRefused(
    `no stored ${what} has the id ${JSON.stringify(id.slice(0, 80))}: see slipway ${command} list`,
  )
}
