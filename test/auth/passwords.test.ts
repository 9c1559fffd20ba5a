import { expect, it } from 'vitest'
import { passwords, weaknessOf } from '../../auth/passwords.ts'
import { io } from '../helpers/waiting.ts'

const { hash, verify } = passwords()

it('keeps a password in PHC form, with a salt of its own', async () => {
  const [first, second] = await Promise.all([hash('correct horse', io), hash('correct horse', io)])
  expect(first).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  expect(first).not.toBe(second)
})

it('takes the right password and no other', async () => {
  const stored = await hash('correct horse', io)
  const tried = ['correct horse', 'correct horsf', 'correct horse ', '', 'Correct horse']
  expect(await Promise.all(tried.map(each => verify(each, stored, io)))).toEqual([
    true,
    false,
    false,
    false,
    false,
  ])
})

it('takes a password typed on another system', async () => {
  const stored = await hash('caf\u00e9 \ufb01sch', io)
  expect(await verify('cafe\u0301 fisch', stored, io)).toBe(true)
})

it('takes what argon2 itself has made, with other parameters', async () => {
  // printf password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 24: the example of the reference implementation's tests.
  const stored = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
  expect(await verify('password', stored, io)).toBe(true)
  expect(await verify('differentpassword', stored, io)).toBe(false)
})

it('takes no password for an account without one', async () => {
  expect(await verify('', undefined, io)).toBe(false)
  expect(await verify('anything', undefined, io)).toBe(false)
})

it('takes no password that is too long to be one', async () => {
  const long = 'x'.repeat(257)
  const stored = await hash(long, io)
  expect(await verify(long, stored, io)).toBe(false)
  expect(await verify(long, await hash('', io), io)).toBe(false)
})

it.for([
  '',
  'secret',
  '$scrypt$ln=15,r=8,p=3$c2FsdA$aGFzaA',
  '$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFh',
])('refuses to guess what %j was meant to be', async stored => {
  await expect(verify('secret', stored, io)).rejects.toThrow(/cannot be read: expected \$argon2id/)
})

it.for([
  ['short pass1', /at least 12/],
  ['é'.repeat(11), /at least 12/],
  ['x'.repeat(257), /at most 256/],
  ['aaaaaaaaaaaaaaaa', /5 different/],
  ['abababababab1', /5 different/],
  ['alice-alice1', /name of its user/],
  ['ALICEalice123', /name of its user/],
  ['123456789012', /first that anybody/],
  ['qwertyuiopasdf', /first that anybody/],
  ['zyxwvutsrqponm', /first that anybody/],
  ['passwordpassword', /first that anybody/],
  ['Password1234!', /first that anybody/],
  ['adminpassword1', /first that anybody/],
] as const)('refuses %j as a new password', ([password, reason]) => {
  expect(weaknessOf(password, 'alice')).toMatch(reason)
})

it.for([
  'correct horse',
  'Tr0ub4dor&3-x',
  'password of my cat',
  'ein Satz, den niemand errät',
  'alice in wonderland',
])('takes %j as a new password', password => {
  expect(weaknessOf(password, 'alice')).toBeUndefined()
})
