import { expect, it } from 'vitest'
import { type Change, parseProtection, protectionAgainst } from '../../auth/protections.ts'
import { parseTag } from '../../oci/names.ts'
import { repository } from '../helpers/principals.ts'

const changes: Readonly<Record<string, Change>> = {
  create: { kind: 'create-tag', tag: parseTag('v1') },
  move: { kind: 'move-tag', tag: parseTag('v1') },
  'move latest': { kind: 'move-tag', tag: parseTag('latest') },
  untag: { kind: 'delete-tag', tag: parseTag('v1') },
  write: { kind: 'write' },
  'delete manifest': { kind: 'delete-manifest' },
  'delete blob': { kind: 'delete-blob' },
}

it.for<[line: string, refused: string[]]>([
  ['immutable prod/**', ['move', 'move latest', 'untag']],
  ['immutable prod/**:v*', ['move', 'untag']],
  ['immutable **:latest', ['move latest']],
  ['no-delete prod/**', ['untag', 'delete manifest', 'delete blob']],
  ['no-delete prod/**:v*', ['untag']],
  ['frozen prod/web', Object.keys(changes)],
  ['frozen prod/web:v*', ['create', 'move', 'untag']],
  ['frozen prod/api', []],
  ['immutable prod', []],
])('%s is against %j', ([line, refused]) => {
  const protections = [parseProtection(line)]
  const found = Object.entries(changes).filter(([, change]) =>
    protectionAgainst(protections, change, repository('prod/web')),
  )
  expect(found.map(([what]) => what)).toEqual(refused)
})

it('names the protection that is in the way', () => {
  const protections = ['no-delete  a/**', 'frozen b/**', 'immutable a/b:*'].map(parseProtection)
  const against = (change: Change) => protectionAgainst(protections, change, repository('a/b'))?.text
  expect(against({ kind: 'delete-manifest' })).toBe('no-delete a/**')
  expect(against({ kind: 'move-tag', tag: parseTag('x') })).toBe('immutable a/b:*')
  expect(against({ kind: 'write' })).toBeUndefined()
})

it.for<[line: string, position: number, message: RegExp]>([
  ['', 1, /empty.*immutable prod/],
  ['forbid a/**', 1, /unknown protection "forbid": expected immutable, no-delete, frozen/],
  ['toString a/**', 1, /unknown protection/],
  ['frozen', 7, /names no repositories/],
  ['frozen a/** bob', 13, /binds everybody/],
  ['frozen {user}/**', 8, /\{user\} has no meaning/],
  ['frozen a/**:', 13, /at least one/],
  ['frozen a/**:v:1', 14, /tags are letters/],
  ['frozen a/**:**', 13, /single \*/],
  ['frozen a/**:v/1', 14, /tags are letters/],
  ['frozen :v1', 8, /no empty segments/],
  ['frozen a/B:v1', 10, /lower-case/],
])('refuses %j at position %i', ([line, position, message]) => {
  expect(() => parseProtection(line)).toThrow(
    expect.objectContaining({ name: 'GrammarError', position, message: expect.stringMatching(message) }),
  )
})
