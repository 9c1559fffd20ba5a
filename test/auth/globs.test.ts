import { expect, it } from 'vitest'
import { parseGlob, wordGlob } from '../../auth/globs.ts'

it.for<[pattern: string, takes: string[], refuses: string[]]>([
  ['team-a/api', ['team-a/api'], ['team-a', 'team-a/api/x', 'team-a/apis']],
  ['**', ['a', 'a/b/c'], []],
  ['*', ['a', 'ab'], ['a/b']],
  ['team-a/**', ['team-a/api', 'team-a/x/y'], ['team-a', 'team-ab/api', 'x/team-a/api']],
  ['team-a/*', ['team-a/api'], ['team-a', 'team-a/x/y']],
  ['team-*/api', ['team-a/api', 'team-b/api'], ['team-a/apis', 'team-a/x/api', 'tea/api']],
  ['**/api', ['x/api', 'x/y/api', 'api/api'], ['api', 'x/api/y']],
  ['a/**/z', ['a/b/z', 'a/b/c/z', 'a/z/z'], ['a/z', 'a/b', 'a/b/z/y']],
  ['**/**', ['a/b', 'a/b/c'], ['a']],
  ['**/x/**/y', ['a/x/b/y', 'x/x/x/x/y', 'a/x/b/x/y/y'], ['x/a/y', 'a/x/y', 'a/x/b/z']],
  ['a*c/**', ['ac/x', 'abc/x/y', 'abcbc/x'], ['ab/x', 'abc']],
  ['*a*b*', ['ab', 'xaxbx', 'aab'], ['ba', 'a', 'xab/c']],
])('matches %s', ([pattern, takes, refuses]) => {
  const glob = parseGlob(pattern)
  expect(takes.filter(name => !glob.matches(name))).toEqual([])
  expect(refuses.filter(name => glob.matches(name))).toEqual([])
})

it('lets {user} be the whole name of the caller and of nobody else', () => {
  const glob = parseGlob('home/{user}/**')
  expect(glob.isPersonal).toBe(true)
  expect(glob.matches('home/bob/x', 'bob')).toBe(true)
  expect(glob.matches('home/bobby/x', 'bob')).toBe(false)
  expect(glob.matches('home/bob/x', 'bobby')).toBe(false)
  expect(glob.matches('home/bob/x')).toBe(false)
})

it('takes the name of a user literally', () => {
  expect(parseGlob('{user}/**').matches('bob/x', '*')).toBe(false)
  expect(parseGlob('{user}/**').matches('bob/x', '**')).toBe(false)
  expect(parseGlob('{user}').matches('bob/x', 'bob/x')).toBe(false)
})

it.for([
  ['team/app', 'team/app'],
  ['team/**', 'team/'],
  ['team/ap*/x', 'team/ap'],
  ['**', ''],
  ['*/app', ''],
  ['home/{user}/**', 'home/bob/'],
  ['{user}', 'bob'],
] as const)('knows how all begins that %s matches', ([pattern, beginning]) => {
  expect(parseGlob(pattern).beginning('bob')).toBe(beginning)
  expect(beginning.startsWith(parseGlob(pattern).beginning())).toBe(true)
})

it('finishes at once on a pattern made to be slow', () => {
  expect(parseGlob(`${'**/'.repeat(30)}z`).matches(`${'a/'.repeat(31)}b`)).toBe(false)
  expect(wordGlob(`${'*a'.repeat(500)}b`)('a'.repeat(5_000))).toBe(false)
})

it.for<[pattern: string, takes: string[], refuses: string[]]>([
  ['v*', ['v', 'v1.2'], ['1v', 'V1']],
  ['*', ['', 'a/b:c'], []],
  ['acme/team-*', ['acme/team-', 'acme/team-a/b'], ['acme/tea']],
  ['refs/heads/*-x', ['refs/heads/-x', 'refs/heads/a-x-x'], ['refs/heads/a-x-']],
  ['a.c', ['a.c'], ['abc']],
  ['', [''], ['a']],
])('matches words with %j', ([pattern, takes, refuses]) => {
  const matches = wordGlob(pattern)
  expect(takes.filter(word => !matches(word))).toEqual([])
  expect(refuses.filter(word => matches(word))).toEqual([])
})
