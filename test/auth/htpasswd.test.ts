import { expect, it } from 'vitest'
import { parseHtpasswd } from '../../auth/htpasswd.ts'

const hash = `$2y$10$${'a'.repeat(53)}`

it('reads users and their hashes', () => {
  const users = parseHtpasswd(`# people\r\n\nbob:${hash}\r\n  carol-x:${hash.replace('$2y', '$2b')}  \n`)
  expect([...users]).toEqual([
    ['bob', hash],
    ['carol-x', hash.replace('$2y', '$2b')],
  ])
  expect(parseHtpasswd('').size).toBe(0)
})

it.for<[what: string, text: string, line: number, message: RegExp]>([
  ['no colon', `bob:${hash}\nsecret-without-colon`, 2, /expected NAME:HASH/],
  ['no name', `:${hash}`, 1, /expected a name/],
  ['capitals', `\n\nBob:${hash}`, 3, /lower-case/],
  ['a reserved name', `anyone:${hash}`, 1, /expected a name/],
  ['a path for a name', `../bob:${hash}`, 1, /expected a name/],
  ['the same user twice', `bob:${hash}\ncarol:${hash}\nbob:${hash}`, 3, /has a line already/],
  [
    'MD5',
    'bob:$apr1$l9fzY1iq$secretsecretsecretsecr',
    1,
    /bcrypt hash, found MD5: write it with htpasswd -B/,
  ],
  ['SHA-1', 'bob:{SHA}secretsecretsecretsecret=', 1, /found SHA-1/],
  ['SHA-256', 'bob:$5$secret$secret', 1, /found SHA-crypt/],
  ['SHA-512', 'bob:$6$secret$secret', 1, /found SHA-crypt/],
  ['crypt', 'bob:secretsecret1', 1, /found crypt or a plain password/],
  ['no hash', 'bob:', 1, /found crypt or a plain password/],
  ['a hash that is cut', `bob:${hash.slice(0, -1)}`, 1, /one that is damaged/],
  ['a hash with more behind it', `bob:${hash}:x`, 1, /one that is damaged/],
  ['a cost that would stop the registry', `bob:${hash.replace('$10$', '$15$')}`, 1, /from 4 to 14, found 15/],
  ['a cost of nothing', `bob:${hash.replace('$10$', '$03$')}`, 1, /from 4 to 14, found 3/],
])('refuses %s, by its line and without its content', ([, text, line, message]) => {
  const refused = expect.objectContaining({
    name: 'HtpasswdError',
    line,
    message: expect.stringMatching(message),
  })
  expect(() => parseHtpasswd(text)).toThrow(refused)
  expect(() => parseHtpasswd(text)).not.toThrow(/secret/)
})
