import { expect, it } from 'vitest'
import { covers, formatScopes, grantedOf, maxScopes, parseAccess, parseScopes } from '../../auth/scopes.ts'
import { repository } from '../helpers/principals.ts'

it.for<[values: string[], canonical: string]>([
  [[], ''],
  [['repository:team/app:pull'], 'repository:team/app:pull'],
  [['repository:team/app:push,pull'], 'repository:team/app:pull,push'],
  [['repository:team/app:*'], 'repository:team/app:pull,push,delete'],
  [['repository:team/app:pull,*,pull'], 'repository:team/app:pull,push,delete'],
  [['repository:a:pull repository:b:push'], 'repository:a:pull repository:b:push'],
  [['repository:b:pull', 'repository:a:pull'], 'repository:b:pull repository:a:pull'],
  [
    ['repository:a:push', 'repository:b:pull', 'repository:a:pull'],
    'repository:a:pull,push repository:b:pull',
  ],
  [['  repository:a:pull \t\n repository:b:pull '], 'repository:a:pull repository:b:pull'],
  [['repository(plugin):a/b:pull'], 'repository:a/b:pull'],
  [['repository(plugin):a:pull repository:a:push'], 'repository:a:pull,push'],
  [['registry:catalog:*'], 'registry:catalog:*'],
  [['registry:catalog:* registry:catalog:*'], 'registry:catalog:*'],
  [['repository:a:pull,fly,push'], 'repository:a:pull,push'],
  [['repository:a:fly'], ''],
  [['repository:a:'], ''],
  [['repository:a'], ''],
  [['repository'], ''],
  [[':::'], ''],
  [['repository::pull'], ''],
  [['repository:A:pull'], ''],
  [['repository:../x:pull'], ''],
  [['repository:a//b:pull'], ''],
  [['repository:host:5000/a:pull'], ''],
  [['repository:a:pull\u0000'], ''],
  [['repository:a:PULL'], ''],
  [['repository:a:admin'], ''],
  [['Repository:a:pull'], ''],
  [['repository():a:pull'], ''],
  [['repository(plugin:a:pull'], ''],
  [['registry:catalog:pull'], ''],
  [['registry:other:*'], ''],
  [['artifact:a:pull repository:b:pull'], 'repository:b:pull'],
  [['__proto__:a:pull', 'repository:constructor:pull'], 'repository:constructor:pull'],
])('reads %j as %j', ([values, canonical]) => {
  const access = parseScopes(values)
  expect(formatScopes(access)).toBe(canonical)
  expect(parseScopes([formatScopes(access)])).toEqual(access)
})

it('looks at no more scopes than a token has room for', () => {
  const many = Array.from({ length: maxScopes + 5 }, (_, index) => `repository:a${index}:pull`)
  expect(parseScopes([many.join(' ')])).toHaveLength(maxScopes)
  expect(parseScopes(many)).toHaveLength(maxScopes)
  expect(parseScopes([...Array.from({ length: maxScopes }, () => 'nothing'), 'repository:a:pull'])).toEqual(
    [],
  )
})

it('grants what was asked for and is permitted, and nothing else', () => {
  const asked = parseScopes(['repository:a:* registry:catalog:* repository:b:pull,push repository:c:push'])
  const granted = grantedOf(asked, (action, name) => action === 'pull' || name === 'a')
  expect(formatScopes(granted)).toBe('repository:a:pull,push,delete registry:catalog:* repository:b:pull')
  expect(formatScopes(grantedOf(asked, () => false))).toBe('registry:catalog:*')
})

it('covers an action on a repository only where it says so', () => {
  const access = parseScopes(['repository:a/b:pull,push registry:catalog:*'])
  expect(covers(access, 'push', repository('a/b'))).toBe(true)
  expect(covers(access, 'delete', repository('a/b'))).toBe(false)
  expect(covers(access, 'pull', repository('a'))).toBe(false)
  expect(covers(access, 'pull', repository('catalog'))).toBe(false)
})

it('reads from a token what it wrote into it', () => {
  const access = parseScopes(['repository:a/b:pull,push registry:catalog:*'])
  expect(parseAccess(JSON.parse(JSON.stringify(access)))).toEqual(access)
  expect(parseAccess([])).toEqual([])
})

it.for<unknown>([
  undefined,
  null,
  'repository:a:pull',
  {},
  [null],
  ['repository:a:pull'],
  [[]],
  [{}],
  [{ type: 'repository', name: 'a' }],
  [{ type: 'repository', name: 'a', actions: 'pull' }],
  [{ type: 'repository', name: 'a', actions: [] }],
  [{ type: 'repository', name: 'a', actions: [1] }],
  [{ type: 'repository', name: 'a', actions: ['*'] }],
  [{ type: 'repository', name: 'a', actions: ['pull', 'pull'] }],
  [{ type: 'repository', name: 'a', actions: ['push', 'pull'] }],
  [{ type: 'repository', name: 'a', actions: ['pull,push'] }],
  [{ type: 'repository', name: 'a', actions: ['admin'] }],
  [{ type: 'repository', name: 'A', actions: ['pull'] }],
  [{ type: 'repository', name: ['a'], actions: ['pull'] }],
  [{ type: 'repository', name: 'a', actions: ['pull'], class: 'plugin' }],
  [{ type: 'repository(plugin)', name: 'a', actions: ['pull'] }],
  [{ type: 'repository:a', name: 'b', actions: ['pull'] }],
  [{ type: 'registry', name: 'catalog', actions: ['*', 'pull'] }],
  [{ type: 'registry', name: 'catalog', actions: ['pull'] }],
  Array.from({ length: maxScopes + 1 }, () => ({ type: 'repository', name: 'a', actions: ['pull'] })),
])('takes from a token nothing else, like %j', claim => {
  expect(parseAccess(claim)).toBeUndefined()
})
