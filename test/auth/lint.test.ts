import { expect, it } from 'vitest'
import { type LintSource, lint, type WorkloadSettings } from '../../auth/lint.ts'
import { parseRule, type RuleSource } from '../../auth/rules.ts'
import { name } from '../helpers/principals.ts'

interface Example {
  readonly access?: readonly RuleSource[]
  readonly groups?: Readonly<Record<string, readonly string[]>>
  readonly workloads?: Readonly<Record<string, WorkloadSettings>>
}

const named = <Value>(entries: Readonly<Record<string, Value>> = {}) =>
  new Map(Object.entries(entries).map(([text, value]) => [name(text), value]))

function said({ access = [], groups, workloads }: Example): readonly string[] {
  const source: LintSource = {
    rules: access.map(parseRule),
    groups: named(groups),
    workloads: named(workloads),
    nowMs: Date.UTC(2026, 10, 21),
  }
  return lint(source).map(({ severity, about, message }) => `${severity}: ${about}: ${message}`)
}

const github = {
  issuer: 'https://token.actions.githubusercontent.com',
  audience: 'reg.acme.dev',
  match: { repository_owner_id: '4242', repository: 'acme/team-a-*', ref: 'refs/heads/main' },
}

it('says nothing of rules as they should be', () => {
  const access = [
    'pull public/** anyone',
    'pull ** signed-in @administrators',
    'push team-a/** @team-a robot:ci workload:gha',
    'push {user}/** signed-in bob',
    'admin ** @platform',
    { rule: 'pull ** robot:scanner', note: 'scans everything' },
    { rule: 'pull ** robot:scanner', until: '2027-01-01' },
  ]
  const groups = { 'team-a': ['bob'], platform: ['oidc:acme-platform'] }
  expect(said({ access, groups, workloads: { gha: github } })).toEqual([])
})

it.for<[what: string, example: Example, finding: RegExp]>([
  ['push for anyone', { access: ['push a/** anyone'] }, /^error: push a\/\*\* anyone: push for anyone/],
  ['delete for anyone', { access: ['delete a/** anyone'] }, /^error: .*delete for anyone/],
  ['admin for anyone', { access: ['admin a/** bob anyone'] }, /^error: .*admin for anyone/],
  ['a robot everywhere', { access: ['pull ** robot:ci'] }, /^warning: .*robot:ci gets every repository/],
  ['an unknown group', { access: ['pull ** @teem'] }, /^warning: .*no group is called teem/],
  ['an unknown workload', { access: ['pull a workload:gha'] }, /^warning: .*no workload is called gha/],
  ['{user} for a robot', { access: ['push {user}/** robot:ci'] }, /^warning: .*robot:ci gets nothing/],
  [
    'a rule that has ended',
    { access: [{ rule: 'push a/** erin', until: '2026-11-20' }] },
    /^warning: .*it has ended/,
  ],
  [
    'a person beside the own group',
    { access: ['push a/** @team-a', 'delete a/** bob'], groups: { 'team-a': ['bob'] } },
    /^warning: delete a\/\*\* bob: bob keeps this after leaving @team-a/,
  ],
  ['a group of nobody', { groups: { 'team-a': [] } }, /^warning: group team-a: it has no member/],
  [
    'a group of administrators',
    { groups: { administrators: ['bob'] } },
    /^error: .*slipway user add --admin/,
  ],
  ['no audience', { workloads: { gha: { ...github, audience: undefined } } }, /^error: .*no audience/],
  ['an empty audience', { workloads: { gha: { ...github, audience: '' } } }, /^error: .*no audience/],
  ['no match', { workloads: { gha: { ...github, match: undefined } } }, /^error: .*fits every token/],
  [
    'a match of iss',
    { workloads: { gha: { ...github, match: { iss: 'x' } } } },
    /^error: .*fits every token/,
  ],
  [
    'a match of all',
    { workloads: { gha: { ...github, match: { ref: '**' } } } },
    /^error: .*fits every token/,
  ],
  [
    'a repository without an id',
    { workloads: { gha: { ...github, match: { repository: 'acme/app' } } } },
    /^warning: workload gha: .*repository_owner_id/,
  ],
])('has one thing to say of %s', ([, example, finding]) => {
  expect(said(example)).toEqual([expect.stringMatching(finding)])
})

it('says errors first', () => {
  const findings = said({ access: ['pull ** @teem', 'push ** anyone'] })
  expect(findings.map(finding => finding.split(':')[0])).toEqual(['error', 'warning'])
})
