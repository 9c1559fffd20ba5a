import { expect, it } from 'vitest'
import { authenticator } from '../../auth/authenticator.ts'
import { directory } from '../../auth/directory.ts'
import { parseHtpasswd, standInFor } from '../../auth/htpasswd.ts'
import { passwords } from '../../auth/passwords.ts'
import { throttle } from '../../auth/throttle.ts'
import { noAccessSettings, noWorkloads } from '../../server/access-control.ts'
import { name } from '../helpers/principals.ts'
import { io } from '../helpers/waiting.ts'

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

it('has a hash to compare for every name that is not there, and costs as they are among those that are', () => {
  const costs = ['05', '05', '05', '12']
  const text = costs.map((cost, at) => `user-${at}:${hash.replace('$10$', `$${cost}$`)}`).join('\n')
  const users = parseHtpasswd(text)
  const names = ['', 'Not a name', 'alice', ...Array.from({ length: 1_000 }, (_, at) => `nobody-${at}`)]
  const found = names.map(each => standInFor(each, users))
  const dear = found.filter(each => each?.startsWith('$2y$12$')).length
  const cheap = found.filter(each => each?.startsWith('$2y$05$')).length
  expect(dear + cheap).toBe(names.length)
  expect(dear).toBeGreaterThan(200)
  expect(dear).toBeLessThan(300)
  // Not by chance: whoever asks twice learns no more.
  expect(names.map(each => standInFor(each, users))).toEqual(found)
  expect(standInFor('alice', new Map())).toBeUndefined()
})

it('compares one hash for whoever asks, whether the name is there or not', async () => {
  const compared: string[] = []
  const hashing = {
    isBcryptOf: async (each: string) => {
      compared.push(each)
      return false
    },
  }
  const htpasswd = parseHtpasswd(`bob:${hash}\ncarol:${hash.replace('$10$', '$12$')}`)
  const documents = { read: async () => undefined, write: async () => false }
  const settings = () => ({ ...noAccessSettings, htpasswd, isExposed: true })
  const view = await directory({ documents, settings, now: Date.now }).view(io)
  const known = authenticator({
    tokens: () => {
      throw new Error('no token was shown')
    },
    workloads: () => noWorkloads,
    passwords: passwords(),
    hashing,
    throttle: throttle({ now: Date.now }),
    now: Date.now,
  })
  for (const username of ['bob', 'carol', 'nobody', 'Not a name'])
    await known.authenticate({ kind: 'basic', username, secret: 'x' }, '192.0.2.1', view, io)
  expect(compared.slice(0, 2)).toEqual([htpasswd.get(name('bob')), htpasswd.get(name('carol'))])
  expect(compared.slice(2)).toEqual(['nobody', 'Not a name'].map(each => standInFor(each, htpasswd)))
})
