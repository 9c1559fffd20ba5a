/**
 * What a reviewer would say of rules that are well formed. An error is a hole, and refuses the configuration; a warning
 * is most likely not what was meant.
 */
import { administrators, type PrincipalName } from './access.ts'
import { formatGrantee, type Grantee, type Rule } from './rules.ts'

export interface Finding {
  readonly severity: 'error' | 'warning'
  /** The line or the name that it is about. */
  readonly about: string
  /** Where that stands: the index of a rule, or the name of a group or workload. */
  readonly at: Place
  readonly message: string
}

type Place = readonly ['access', number] | readonly ['groups' | 'workloads', PrincipalName]

export interface WorkloadSettings {
  readonly issuer: string
  readonly audience?: string | undefined
  /** Dotted path into the claims -> pattern. */
  readonly match?: Readonly<Record<string, string>> | undefined
}

export interface LintSource {
  readonly rules: readonly Rule[]
  /** Group -> members: users, and `oidc:…` for groups of the identity provider. */
  readonly groups: ReadonlyMap<PrincipalName, readonly string[]>
  readonly workloads: ReadonlyMap<PrincipalName, WorkloadSettings>
  readonly nowMs: number
}

/** Errors first, otherwise in the order of what they are about. */
export function lint(source: LintSource): readonly Finding[] {
  const findings = [
    ...source.rules.flatMap((rule, index) => lintRule(rule, index, source)),
    ...[...source.groups].flatMap(([name, members]) => lintGroup(name, members)),
    ...[...source.workloads].flatMap(([name, settings]) => lintWorkload(name, settings)),
  ]
  return [
    ...findings.filter(({ severity }) => severity === 'error'),
    ...findings.filter(({ severity }) => severity === 'warning'),
  ]
}

function lintRule(rule: Rule, index: number, source: LintSource): readonly Finding[] {
  const about = findingsAbout(rule.text, ['access', index])
  const findings = rule.to.flatMap(grantee => lintGrantee(rule, grantee, source, about))
  if (rule.untilMs === undefined || source.nowMs < rule.untilMs) return findings
  return [...findings, about.warning('it has ended and grants nothing: remove it')]
}

function lintGrantee(
  rule: Rule,
  grantee: Grantee,
  source: LintSource,
  { error, warning }: FindingsAbout,
): readonly Finding[] {
  const { level, repositories, untilMs, note } = rule
  const { rules, groups, workloads } = source
  const who = formatGrantee(grantee)
  const unmeant = repositories.isPersonal
    ? [warning(`{user} is a user's name: ${who} gets nothing by this rule`)]
    : []

  switch (grantee.kind) {
    case 'anyone':
      return level === 'pull' ? [] : [error(`${level} for anyone, signed in or not: name who may ${level}`)]
    case 'signed-in':
      return []
    case 'user':
      return groupsBeside(grantee.name, rule, rules, groups).map(group =>
        warning(`${who} keeps this after leaving @${group}: name the group alone, or give the rule an until`),
      )
    case 'group':
      return groups.has(grantee.name) || grantee.name === administrators
        ? []
        : [warning(`no group is called ${grantee.name}: nobody gets anything by ${who}`)]
    case 'robot':
      return repositories.text === '**' && untilMs === undefined && note === undefined
        ? [warning(`${who} gets every repository, for ever: narrow the pattern, or add an until or a note`)]
        : unmeant
    case 'workload':
      return workloads.has(grantee.name)
        ? unmeant
        : [warning(`no workload is called ${grantee.name}: nobody gets anything by ${who}`)]
  }
}

/** Groups that a user is listed in by name and that the same repositories are granted to. */
function groupsBeside(
  user: string,
  rule: Rule,
  rules: readonly Rule[],
  groups: LintSource['groups'],
): readonly PrincipalName[] {
  const beside = rules
    .filter(({ repositories }) => repositories.text === rule.repositories.text)
    .flatMap(({ to }) => to.flatMap(groupOf))
  return [...new Set(beside)].filter(group => groups.get(group)?.includes(user))
}

const groupOf = (grantee: Grantee) => (grantee.kind === 'group' ? [grantee.name] : [])

function lintGroup(name: PrincipalName, members: readonly string[]): readonly Finding[] {
  const { error, warning } = findingsAbout(`group ${name}`, ['groups', name])
  if (name === administrators)
    return [error('its members are made by: slipway user add --admin. Choose another name')]
  return members.length === 0 ? [warning('it has no member and no source of members')] : []
}

function lintWorkload(name: PrincipalName, { audience, match = {} }: WorkloadSettings): readonly Finding[] {
  const { error, warning } = findingsAbout(`workload ${name}`, ['workloads', name])
  const claims = Object.entries(match).filter(([path]) => path !== 'iss')
  const distinguishing = claims.filter(([, pattern]) => /[^*]/.test(pattern))
  const byRepositoryName = Object.hasOwn(match, 'repository')
  const byRepositoryId = ['repository_id', 'repository_owner_id'].some(path => Object.hasOwn(match, path))
  return [
    ...(audience === undefined || audience === ''
      ? [error('it has no audience: a token that was made for somebody else would be taken')]
      : []),
    ...(distinguishing.length === 0
      ? [error('its match fits every token of the issuer, and an issuer can be shared by everybody')]
      : []),
    ...(byRepositoryName && !byRepositoryId
      ? [
          warning(
            'names of repositories can be registered again: match repository_owner_id or repository_id too',
          ),
        ]
      : []),
  ]
}

type FindingsAbout = ReturnType<typeof findingsAbout>

function findingsAbout(about: string, at: Place) {
  return {
    error: (message: string): Finding => ({ severity: 'error', about, at, message }),
    warning: (message: string): Finding => ({ severity: 'warning', about, at, message }),
  }
}
