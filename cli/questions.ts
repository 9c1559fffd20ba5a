/** What the policy is asked, and how it explains itself. */
import { type Identity, type Level, levels, type PrincipalName, wordOf } from '../auth/access.ts'
import type { AccessSettings, View } from '../auth/directory.ts'
import type { Protection } from '../auth/protections.ts'
import { formatGrantee } from '../auth/rules.ts'
import { parseRepositoryName, type RepositoryName } from '../oci/names.ts'
import type { SettingFlags } from '../server/config-sources.ts'
import type { Outcome } from './command.ts'
import { operand, untilDone } from './registries.ts'
import { inWholeRegistry } from './registry-folder.ts'
import { placeOf, sourcedRules } from './rule-sources.ts'
import { table } from './table.ts'
import { identityOf, levelOf } from './words.ts'

type Print = (text: string) => void
type Flags = SettingFlags & { readonly json?: boolean | undefined }

const openRegistry = 'the registry is open: it knows nobody and has no rule'

/** Ends with `no` where it may not. */
export async function can(
  who: string,
  levelWord: string,
  nameWord: string,
  flags: Flags,
  print: Print,
): Promise<Outcome> {
  const [identity, level, name] = [
    identityOf(who),
    levelOf(levelWord),
    operand(nameWord, parseRepositoryName),
  ]
  return inWholeRegistry(flags, async ({ directory }) => {
    const view = await directory.view(untilDone)
    const { has, because } = standing(identity, name, view)
    const isGranted = has !== undefined && levels.indexOf(has) >= levels.indexOf(level)
    const protections = level === 'pull' ? [] : protectionsOf(name, view)
    const may = isGranted && !protections.some(protection => leavesNothing(protection, level))
    if (flags.json)
      print(JSON.stringify({ can: may, level: has ?? null, because, protections: protections.map(textOf) }))
    else {
      print(`${may ? 'yes' : 'no'}: ${because}`)
      if (isGranted) for (const each of protections) print(`protected from everybody: ${textOf(each)}`)
    }
    return may ? 'done' : 'no'
  })
}

export async function why(who: string, nameWord: string, flags: Flags, print: Print): Promise<Outcome> {
  const [identity, name] = [identityOf(who), operand(nameWord, parseRepositoryName)]
  return inWholeRegistry(flags, async folder => {
    const view = await folder.directory.view(untilDone)
    const { has, because } = standing(identity, name, view)
    const all = sourcedRules(view.state, folder)
    const principal = view.principal(identity)
    const reasons = principal && !view.isOpen ? view.policy.why(principal, name) : []
    const protections = protectionsOf(name, view).map(textOf)
    if (flags.json) {
      const rules = reasons.map(({ rule, as, hasEnded }) => ({
        rule: rule.text,
        as: formatGrantee(as),
        ended: hasEnded,
        source: placeOf(rule, all),
      }))
      print(JSON.stringify({ level: has ?? null, because, rules, protections }))
      return 'done'
    }
    print(because)
    if (reasons.length > 0)
      print(
        table(
          ['LEVEL', 'AS', 'RULE', 'SOURCE'],
          reasons.map(({ rule, as, hasEnded }) => [
            hasEnded ? `${rule.level} (ended)` : rule.level,
            formatGrantee(as),
            rule.text,
            placeOf(rule, all),
          ]),
        ),
      )
    for (const text of protections) print(`protected from everybody: ${text}`)
    return 'done'
  })
}

export async function whoCan(
  levelWord: string,
  nameWord: string,
  flags: Flags,
  print: Print,
): Promise<Outcome> {
  const [level, name] = [levelOf(levelWord), operand(nameWord, parseRepositoryName)]
  return inWholeRegistry(flags, async folder => {
    const view = await folder.directory.view(untilDone)
    const all = sourcedRules(view.state, folder)
    const holders = (view.isOpen ? [] : view.policy.whoCan(level, name)).map(({ who, rule, onlyUser }) => ({
      who: onlyUser === undefined ? formatGrantee(who) : `${onlyUser}, as ${formatGrantee(who)}`,
      members: who.kind === 'group' ? membersOf(who.name, view, folder.settings) : undefined,
      level: rule.level,
      rule: rule.text,
      source: placeOf(rule, all),
    }))
    if (flags.json) print(JSON.stringify({ open: view.isOpen, holders }))
    else if (view.isOpen) print(`everybody: ${openRegistry}`)
    else
      print(
        table(
          ['WHO', 'LEVEL', 'RULE', 'SOURCE'],
          holders.map(({ who, members, level, rule, source }) => [
            members ? `${who} (${members.join(', ') || 'nobody'})` : who,
            level,
            rule,
            source,
          ]),
        ),
      )
    return 'done'
  })
}

const protectionsOf = (name: RepositoryName, view: View) =>
  view.protections.filter(({ repositories }) => repositories.matches(name))

/** Whether what a level is for cannot be done to any tag of a repository. */
const leavesNothing = ({ kind, tags }: Protection, level: Level) =>
  tags === undefined &&
  ((kind === 'frozen' && level !== 'admin') || (kind === 'no-delete' && level === 'delete'))

const textOf = ({ text }: Protection) => text

/** Those who are there and not disabled. */
function membersOf(group: PrincipalName, view: View, { groups }: AccessSettings): readonly PrincipalName[] {
  const names = [...view.state.users.map(({ name }) => name), ...(groups.get(group) ?? [])]
  return [...new Set(names)].toSorted().filter(name => {
    const user = view.principal({ kind: 'user', name })
    return user?.kind === 'user' && user.groups.includes(group)
  })
}

interface Standing {
  readonly has: Level | undefined
  readonly because: string
}

function standing(identity: Identity, name: RepositoryName, view: View): Standing {
  const who = identity.kind === 'user' ? identity.name : wordOf(identity)
  if (view.isOpen) return { has: 'admin', because: openRegistry }
  const principal = view.principal(identity)
  if (!principal) return { has: undefined, because: absence(identity, view) }
  const has = view.policy.level(principal, name)
  const [reason] = view.policy.why(principal, name).filter(({ hasEnded }) => !hasEnded)
  if (has === undefined || !reason) return { has, because: `no rule grants ${who} anything on ${name}` }
  return { has, because: `${who} has ${has} on ${name} by the rule ${reason.rule.text}` }
}

function absence(identity: Identity, view: View): string {
  if (identity.kind === 'anonymous') return 'nobody is there'
  const isDisabled = identity.kind === 'user' && view.user(identity.name)?.disabled
  if (isDisabled) return `user ${identity.name} is disabled`
  const isRobot = identity.kind === 'user' && view.principal({ kind: 'robot', name: identity.name })
  const hint = isRobot ? `: a robot is, robot:${identity.name}` : ''
  return `no ${identity.kind} is called ${identity.name}${hint}`
}
