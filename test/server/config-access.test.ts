import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { accessOf } from '../../server/access-settings.ts'
import { faults, load } from '../helpers/settings.ts'

describe('accepts', () => {
  it.for<[yaml: string, settings: object]>([
    ['access: [pull ** anyone]', { access: [{ rule: 'pull ** anyone' }] }],
    [
      'access:\n- pull ** anyone\n- push  a/**  @b',
      { access: [{ rule: 'pull ** anyone' }, { rule: 'push  a/**  @b' }] },
    ],
    [
      'access: pull ** anyone, push ** bob',
      { access: [{ rule: 'pull ** anyone' }, { rule: 'push ** bob' }] },
    ],
    [
      'access: [{ rule: push a/** erin, until: 2099-12-31, note: contractor }]',
      { access: [{ rule: 'push a/** erin', until: '2099-12-31', note: 'contractor' }] },
    ],
    ['access: []', { access: [] }],
    [
      'protect: [immutable **:v*, no-delete release/**]',
      { protect: ['immutable **:v*', 'no-delete release/**'] },
    ],
    [
      'groups: { a: [bob, carol], constructor: [eve] }',
      { groups: { a: ['bob', 'carol'], constructor: ['eve'] } },
    ],
    ['groups: { a: "bob, carol" }', { groups: { a: ['bob', 'carol'] } }],
    ['login: { htpasswd: /etc/users }', { login: { htpasswd: '/etc/users' } }],
    [
      'tokens: { max_ttl: 30d, default_ttl: 1h }',
      { tokens: { maxTtlMs: 2_592_000_000, defaultTtlMs: 3_600_000 } },
    ],
    [
      'workloads: { k8s: { issuer: "https://k8s", audience: reg, match: { "kubernetes.io.namespace": "prod-*" } } }',
      {
        workloads: {
          k8s: { issuer: 'https://k8s', audience: 'reg', match: { 'kubernetes.io.namespace': 'prod-*' } },
        },
      },
    ],
    [
      'workloads: { a: { issuer: "http://127.0.0.1:1", audience: b, match: { id: 42, main: true }, jwks_url: "https://c/d" } }',
      { workloads: { a: { match: { id: '42', main: 'true' }, jwksUrl: 'https://c/d' } } },
    ],
  ])('%j', ([yaml, settings]) => {
    expect(load({ yaml }).settings).toMatchObject(settings)
  })

  it('rules, groups and workloads from the environment', () => {
    const env = {
      SLIPWAY_ACCESS: 'pull ** anyone, push ** @a',
      SLIPWAY_GROUPS: '{"a": ["bob"]}',
      SLIPWAY_WORKLOADS: '{"ci": {"issuer": "https://ci", "audience": "reg", "match": {"sub": "x"}}}',
    }
    expect(load({ env }).settings).toMatchObject({
      access: [{ rule: 'pull ** anyone' }, { rule: 'push ** @a' }],
      groups: { a: ['bob'] },
      workloads: { ci: { issuer: 'https://ci' } },
    })
  })

  it('paths that start at the folder of the file', () => {
    const yaml =
      'login: { htpasswd: users }\ntls: { cert: a.pem, key: keys/a.pem }\n' +
      'workloads: { a: { issuer: "https://b", audience: c, match: { d: e }, jwks_file: k.json } }'
    const { settings, cwd } = load({
      files: { 'etc/slipway.yaml': yaml },
      flags: { config: 'etc/slipway.yaml' },
    })
    const at = (path: string) => join(cwd, 'etc', path)
    expect(settings).toMatchObject({
      login: { htpasswd: at('users') },
      tls: { cert: at('a.pem'), key: at('keys/a.pem') },
      workloads: { a: { jwksFile: at('k.json') } },
    })
  })
})

describe('refuses', () => {
  const name = 'lower-case letters and digits joined by . _ or -, at most 64 of them'
  const groups = 'names of groups, each with a list of users; in the environment as JSON'
  const ci = (more: string) => `workloads:\n  ci: { audience: b, match: { c: d }, ${more} }`
  it.for<[yaml: string, ...faults: string[]]>([
    [
      'access:\n- pull ** anyone\n- pul ** bob',
      '3: access: "pul ** bob": unknown level "pul": expected pull, push, delete, admin',
    ],
    ['access: [pull a//b bob]', '1: access: "pull a//b bob" (character 8): a pattern has no empty segments'],
    [
      'access: [{ rule: pull a bob, until: tomorrow }]',
      '1: access: "pull a bob": until "tomorrow" is no date: expected 2026-12-31, the last day, or 2026-12-31T18:00Z',
    ],
    [
      'access: [{ rule: pull a bob, til: x }]',
      '1: access.til: no such setting; known: access.rule, access.until, access.note',
    ],
    [
      'access:\n- until: 2099-01-01',
      '2: access.rule: expected a rule, such as: push team-a/** @team-a, found nothing',
    ],
    [
      'access: { a: b }',
      '1: access: expected a list of rules, such as: push team-a/** @team-a, found a section',
    ],
    ['access:', '1: access: expected a list of rules, such as: push team-a/** @team-a, found nothing'],
    ['access: [5]', '1: access: expected a list of rules, such as: push team-a/** @team-a, found 5'],
    [
      'protect: [immutible a]',
      '1: protect: "immutible a": unknown protection "immutible": expected immutable, no-delete, frozen',
    ],
    ['groups: [a]', `1: groups: expected ${groups}, found a list`],
    ['groups: { a: [b, 5] }', `1: groups.a: expected ${groups}, found 5`],
    ['groups:\n  a: [b]\n  B: [c]', `3: groups.B: expected a name of ${name}`],
    ['groups: { a: [B] }', `1: groups.a: "B" is nobody's name: expected ${name}`],
    [
      'groups: { a: ["oidc:a"] }',
      '1: groups.a: oidc:a: groups of an identity provider come with login by OIDC, which is not there yet',
    ],
    [
      'login: { oidc: {} }',
      '1: login.oidc: login by OIDC is not there yet: it comes with the pages for people',
    ],
    ['login: { local: true }', '1: login.local: no such setting; known: login.htpasswd'],
    [
      'login: { htpasswd: "" }',
      '1: login.htpasswd: expected the path of a file that htpasswd -B has written, found ""',
    ],
    [
      ci('issuer: "http://ci.example"'),
      '2: workloads.ci.issuer: expected the https:// address that its tokens name as iss, found "http://ci.example"',
    ],
    [
      ci(''),
      '2: workloads.ci.issuer: expected the https:// address that its tokens name as iss, found nothing',
    ],
    [
      ci('issuer: "https://a", jwks_file: b, jwks_url: "https://c"'),
      '2: workloads.ci.jwks_url: jwks_file and jwks_url exclude each other: remove one',
    ],
    [
      ci('issuer: "https://a", secret: b'),
      '2: workloads.ci.secret: no such setting; known: workloads.ci.issuer, workloads.ci.audience, workloads.ci.match, workloads.ci.jwks_file, workloads.ci.jwks_url',
    ],
    [
      'workloads: { a: { issuer: "https://b", audience: c, match: { d: 1.5 } } }',
      '1: workloads.a.match.d: expected claims, each with a pattern, found 1.5',
    ],
    [
      'tokens: { max_ttl: 30d }',
      'default: tokens.default_ttl: is longer than tokens.max_ttl: shorten it, or allow more there',
    ],
    ['tokens: { max_ttl: 1s }', '1: tokens.max_ttl: expected a time from 1m to 3650d, found "1s"'],
  ])('%j', ([yaml, ...expected]) => {
    expect(faults({ yaml })).toEqual(
      expected.map(fault => (fault.startsWith('default') ? fault : `slipway.yaml:${fault}`)),
    )
  })

  it.for<[yaml: string, ...faults: string[]]>([
    [
      'access:\n- pull ** anyone\n- push ** anyone',
      '3: access: push ** anyone: push for anyone, signed in or not: name who may push',
    ],
    [
      'groups: { administrators: [bob] }',
      '1: groups.administrators: its members are made by: slipway user add --admin. Choose another name',
    ],
    [
      'workloads:\n  ci:\n    issuer: https://ci',
      '3: workloads.ci: it has no audience: a token that was made for somebody else would be taken',
      '3: workloads.ci: its match fits every token of the issuer, and an issuer can be shared by everybody',
    ],
  ])('a hole: %j', ([yaml, ...expected]) => {
    expect(faults({ yaml })).toEqual(expected.map(fault => `slipway.yaml:${fault}`))
  })

  it('names the variable that a rule stands in', () => {
    expect(faults({ env: { SLIPWAY_ACCESS: 'pull ** anyone, push' } })).toEqual([
      'SLIPWAY_ACCESS: access: "push" (character 5): an access rule names no repositories: expected LEVEL PATTERN WHO…, such as: push team-a/** @team-a robot:ci',
    ])
    expect(faults({ env: { SLIPWAY_GROUPS: 'a: b' } })).toEqual([
      'SLIPWAY_GROUPS: groups: expected names of groups, each with a list of users; in the environment as JSON, found "a: b"',
    ])
  })
})

it('warns of what is most likely not meant, and says where', () => {
  const yaml = 'access:\n- pull ** anyone\n- pull ** @teem\n- { rule: push a/** erin, until: 2020-01-01 }'
  expect(load({ yaml }).warnings).toEqual([
    'slipway.yaml:3: access: pull ** @teem: no group is called teem: nobody gets anything by @teem',
    'slipway.yaml:4: access: push a/** erin: it has ended and grants nothing: remove it',
  ])
})

it('survives being sent to a worker', () => {
  const yaml =
    'access: [{ rule: push a/** @a, note: b }]\nprotect: [frozen c]\ngroups: { a: [bob] }\n' +
    'workloads: { ci: { issuer: "https://ci", audience: reg, match: { sub: x } } }'
  const { settings } = load({ yaml })
  const access = accessOf(JSON.parse(JSON.stringify(settings)))
  expect(access.rules).toMatchObject([{ text: 'push a/** @a', level: 'push', note: 'b' }])
  expect(access.protections).toMatchObject([{ text: 'frozen c' }])
  expect([...access.groups]).toEqual([['a', ['bob']]])
  expect([...access.workloads.values()]).toEqual([
    { name: 'ci', issuer: 'https://ci', audience: 'reg', match: { sub: 'x' }, keys: { kind: 'discovery' } },
  ])
})
