import type { View } from '../auth/directory.ts'
import { type Finding, lint } from '../auth/lint.ts'
import { defaultRule } from '../auth/policy.ts'
import { makeId } from '../auth/random.ts'
import { parseRule, type Rule } from '../auth/rules.ts'
import { addRule, removeRule } from '../auth/stored-rules.ts'
import type { SettingFlags } from '../server/config-sources.ts'
import type { RegistryFolder } from '../server/registry-folder.ts'
import type { Outcome } from './command.ts'
import { untilDone } from './registries.ts'
import { grammatical, inRegistry, remark } from './registry-folder.ts'
import { sourcedRules } from './rule-sources.ts'
import { table } from './table.ts'

type Print = (text: string) => void

export async function listRules(
  flags: SettingFlags & { readonly json?: boolean | undefined },
  print: Print,
): Promise<Outcome> {
  return inRegistry(flags, 'existing', async folder => {
    const { state } = await folder.directory.view(untilDone)
    const nowMs = Date.now()
    const hasEnded = ({ untilMs }: Rule) => untilMs !== undefined && untilMs <= nowMs
    const all = sourcedRules(state, folder)
    if (flags.json) {
      const rules = all.map(({ rule, id, until, source }) => ({
        id: id ?? null,
        rule: rule.text,
        until: until ?? null,
        ended: hasEnded(rule),
        note: rule.note ?? null,
        source,
      }))
      print(JSON.stringify({ rules }))
      return 'done'
    }
    const rows = all.map(({ rule, id, until, source }) => [
      id,
      rule.text,
      until && (hasEnded(rule) ? `${until} (ended)` : until),
      source,
      rule.note,
    ])
    print(table(['ID', 'RULE', 'UNTIL', 'SOURCE', 'NOTE'], rows))
    return 'done'
  })
}

/** Prints the id, alone, on standard output. */
export async function writeRule(
  line: string,
  flags: SettingFlags & { readonly until?: string | undefined; readonly note?: string | undefined },
  print: Print,
): Promise<Outcome> {
  const { until, note } = flags
  const rule = grammatical(() => parseRule({ rule: line, until, note }))
  const stored = { id: makeId(), rule: line, until, note, createdMs: Date.now() }
  return inRegistry(flags, 'any', async folder => {
    const { directory, administration, settings } = folder
    const before = await directory.view(untilDone)
    for (const { severity, message } of [
      ...findingsAbout(rule, before, folder),
      ...strangersIn(rule, before),
    ]) {
      if (severity === 'error') throw new Error(`the rule was not added: ${message}`)
      remark(`warning: ${message}`)
    }
    const detail = { after: rule.text, ...(until !== undefined && { until }) }
    const story = { action: 'rule.add', target: `rule:${stored.id}`, detail } as const
    const state = await administration.change(state => addRule(state, stored), story, untilDone)
    print(stored.id)
    if (settings.rules.length === 0 && state.rules.length === 1)
      remark(`this is the first rule: ${defaultRule.text} does not stand any more`)
    return 'done'
  })
}

export async function eraseRule(id: string, flags: SettingFlags): Promise<Outcome> {
  return inRegistry(flags, 'existing', async ({ directory, administration, settings }) => {
    const before = (await directory.view(untilDone)).state.rules.find(rule => rule.id === id)
    const detail = { ...(before && { before: before.rule }) }
    const story = { action: 'rule.remove', target: `rule:${id}`, detail } as const
    const state = await administration.change(state => removeRule(state, id), story, untilDone)
    remark(`rule ${id} was removed: ${before?.rule ?? ''}`)
    if (settings.rules.length + state.rules.length === 0)
      remark(`no rule is left, so ${defaultRule.text} stands again`)
    return 'done'
  })
}

function findingsAbout(rule: Rule, { state }: View, { settings }: RegistryFolder): readonly Finding[] {
  const findings = lint({
    rules: [...settings.rules, ...state.rules.map(parseRule), rule],
    groups: settings.groups,
    // What the settings say of workloads is their own matter: here they only need to be there.
    workloads: new Map([...settings.workloads.keys()].map(name => [name, { issuer: '' }])),
    nowMs: Date.now(),
  })
  return findings.filter(({ about }) => about === rule.text)
}

/** Whoever a rule names may come later; more often the name is misspelt. */
function strangersIn(rule: Rule, view: View): readonly Pick<Finding, 'severity' | 'message'>[] {
  return rule.to.flatMap(who => {
    if (who.kind !== 'user' && who.kind !== 'robot') return []
    const isThere = who.kind === 'user' && view.user(who.name) !== undefined
    if (isThere || view.principal({ kind: who.kind, name: who.name })) return []
    return [{ severity: 'warning', message: `no ${who.kind} is called ${who.name} yet` } as const]
  })
}
