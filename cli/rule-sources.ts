import type { PrincipalName } from '../auth/access.ts'
import { administratorsRule, defaultRule } from '../auth/policy.ts'
import { parseRule, type Rule } from '../auth/rules.ts'
import type { AccessState } from '../auth/state.ts'
import type { RegistryFolder } from '../server/registry-folder.ts'

/** A rule that stands, and where it was written. */
export interface SourcedRule {
  readonly rule: Rule
  /** Of a stored rule: by this it is removed. */
  readonly id: string | undefined
  readonly until: string | undefined
  readonly source: string
}

/** Every rule that stands: those of the settings, of the store, and those that need not be written. */
export function sourcedRules(
  state: AccessState,
  { settings, settingsSource }: Pick<RegistryFolder, 'settings' | 'settingsSource'>,
): readonly SourcedRule[] {
  const configured = settings.rules.map((rule, index) => ({
    rule,
    id: undefined,
    until: rule.untilMs === undefined ? undefined : new Date(rule.untilMs).toISOString(),
    source: settingsSource('access', index),
  }))
  const stored = state.rules.map(each => ({
    rule: parseRule(each),
    id: each.id,
    until: each.until,
    source: 'store',
  }))
  const written = [...configured, ...stored]
  const unwritten = (rule: Rule) => ({ rule, id: undefined, until: undefined, source: 'built in' })
  return [unwritten(administratorsRule), ...(written.length > 0 ? written : [unwritten(defaultRule)])]
}

/** What still stands of a user or robot who is removed: rules by name, and groups of the settings. */
export function legacies(
  kind: 'user' | 'robot',
  name: PrincipalName,
  state: AccessState,
  folder: Pick<RegistryFolder, 'settings' | 'settingsSource'>,
): readonly string[] {
  const rules = sourcedRules(state, folder)
    .filter(({ rule }) => rule.to.some(who => who.kind === kind && who.name === name))
    .map(({ rule, id, source }) =>
      id === undefined
        ? `have what ${source} grants: ${rule.text}`
        : `have what rule ${id} grants: ${rule.text}`,
    )
  const groups = [...folder.settings.groups].filter(
    ([, members]) => kind === 'user' && members.includes(name),
  )
  return [...rules, ...groups.map(([group]) => `be in the group ${group} of the settings`)]
}

/** Where a rule of the policy was written: as an id, where it has one. */
export function placeOf(rule: Rule, all: readonly SourcedRule[]): string {
  const found = all.find(each => each.rule.text === rule.text && each.rule.untilMs === rule.untilMs)
  return found?.id ?? found?.source ?? 'settings'
}
