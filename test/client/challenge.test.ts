import { expect, it } from 'vitest'
import { parseChallenges } from '../../client/challenge.ts'

it.for<[header: string | undefined, expected: [string, Record<string, string>][]]>([
  [undefined, []],
  ['', []],
  ['Basic realm="x"', [['basic', { realm: 'x' }]]],
  [
    'Bearer realm="https://a/t",service="s",scope="repository:a/b:pull,push"',
    [['bearer', { realm: 'https://a/t', service: 's', scope: 'repository:a/b:pull,push' }]],
  ],
  ['BEARER Realm = "a" , SERVICE=b', [['bearer', { realm: 'a', service: 'b' }]]],
  [
    'Negotiate, Basic realm="a, Bearer b", Bearer realm="c"',
    [
      ['negotiate', {}],
      ['basic', { realm: 'a, Bearer b' }],
      ['bearer', { realm: 'c' }],
    ],
  ],
  ['Basic realm="a \\"b\\" \\\\c"', [['basic', { realm: 'a "b" \\c' }]]],
  ['Bearer realm="cut', [['bearer', {}]]],
  ['realm="x"', []],
  ['"', []],
])('reads %j', ([header, expected]) => {
  const found = parseChallenges(header).map(each => [each.scheme, Object.fromEntries(each.parameters)])

  expect(found).toEqual(expected)
})
