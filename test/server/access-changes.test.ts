/** What the audit says of settings that were read again. */
import { expect, it } from 'vitest'
import { accessChanges } from '../../server/access-changes.ts'
import { readNamedFiles } from '../../server/named-files.ts'
import { load } from '../helpers/settings.ts'

const hash = (letter: string) => `$2y$04$${letter.repeat(53)}`
const keys = (x: string) => JSON.stringify({ keys: [{ kty: 'EC', crv: 'P-256', x, y: 'y', kid: '1' }] })
const job = '{ issuer: "https://ci", audience: reg, match: { sub: x }, jwks_file: keys.json }'

interface Given {
  readonly yaml?: string
  readonly users?: string
  readonly keySet?: string
}

function source({ yaml = '', users = `bob:${hash('a')}`, keySet = keys('x') }: Given) {
  const text = `login: { htpasswd: users }\nworkloads: { ci: ${job} }\n${yaml}`
  const loaded = load({ yaml: text, files: { users, 'keys.json': keySet } })
  const { files } = readNamedFiles(loaded, { before: undefined, nowMs: Date.now() })
  // Each is loaded in a folder of its own, which is no change.
  const here = JSON.stringify({ settings: loaded.settings, files }).replaceAll(loaded.cwd, '/here')
  return JSON.parse(here) as { settings: typeof loaded.settings; files: typeof files }
}

function told(before: Given, after: Given) {
  return accessChanges(source(before), source(after)).map(({ target, detail }) => [
    target,
    detail?.before,
    detail?.after,
  ])
}

it.for<readonly [string, Given, Given, readonly (readonly (string | undefined)[])[]]>([
  ['nothing', {}, {}, []],
  ['what is no matter of access', {}, { yaml: 'limits: { manifest: 8MiB }' }, []],
  [
    'the order of rules',
    { yaml: 'access: [pull a b, pull b c]' },
    { yaml: 'access: [pull b c, pull a b]' },
    [],
  ],
  ['a comment in the password file', {}, { users: `# people\nbob:${hash('a')}` }, []],
  [
    'a rule',
    { yaml: 'access: [pull a bob, pull b bob]' },
    { yaml: 'access: [pull b bob, push a bob]' },
    [['access', 'pull a bob', 'push a bob']],
  ],
  [
    'the end of a rule',
    { yaml: 'access: [pull a bob]' },
    { yaml: 'access: [{ rule: pull a bob, until: 2099-01-01 }]' },
    [['access', 'pull a bob', 'pull a bob (until 2099-01-01)']],
  ],
  [
    'a protection',
    {},
    { yaml: 'protect: [frozen a, frozen b]' },
    [['protect', undefined, 'frozen a; frozen b']],
  ],
  [
    'a group',
    { yaml: 'groups: { team: [bob], ops: [eve] }' },
    { yaml: 'groups: { team: [bob, eve], ops: [eve] }' },
    [['groups', 'team: bob', 'team: bob eve']],
  ],
  ['a password', {}, { users: `bob:${hash('b')}` }, [['login.htpasswd', 'bob', 'bob']]],
  ['a user', {}, { users: `bob:${hash('a')}\neve:${hash('a')}` }, [['login.htpasswd', undefined, 'eve']]],
])('tells of %s', ([, before, after, expected]) => {
  expect(told(before, after)).toEqual(expected)
})

it('tells of the keys of a workload, by what its tokens must say', () => {
  const [[target, before, after] = []] = told({}, { keySet: keys('z') })
  expect([target, before]).toEqual(['workloads', after])
  expect(after).toMatch(/^ci: .*https:\/\/ci.*"sub":"x"/)
})
