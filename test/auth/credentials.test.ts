import { expect, it } from 'vitest'
import { type Credentials, parseAuthorization } from '../../auth/credentials.ts'

const base64 = (text: string | Buffer) => Buffer.from(text).toString('base64')
const basic = (username: string, secret: string): Credentials => ({ kind: 'basic', username, secret })

it.for<[value: string | undefined, credentials: Credentials]>([
  [undefined, { kind: 'none' }],
  ['Basic Og==', { kind: 'none' }],
  ['Basic Ym9iOmh1bnRlcjI=', basic('bob', 'hunter2')],
  ['basic Ym9iOmh1bnRlcjI', basic('bob', 'hunter2')],
  ['BASIC   Ym9iOmh1bnRlcjI=', basic('bob', 'hunter2')],
  [`Basic ${base64('bob:a:b:')}`, basic('bob', 'a:b:')],
  [`Basic ${base64('bob:')}`, basic('bob', '')],
  [`Basic ${base64(':token')}`, basic('', 'token')],
  [`Basic ${base64('jörg:pä\u00a0ß')}`, basic('jörg', 'pä\u00a0ß')],
  [`Basic ${base64('bob:\ufeffx')}`, basic('bob', '\ufeffx')],
  ['Bearer a.b.c', { kind: 'bearer', token: 'a.b.c' }],
  ['bearer a.b.c', { kind: 'bearer', token: 'a.b.c' }],
])('reads %j', ([value, credentials]) => {
  expect(parseAuthorization(value)).toEqual(credentials)
})

it.for([
  '',
  ' ',
  'Basic',
  'Basic ',
  'Bearer',
  'Bearer ',
  'Bearer a b',
  'Bearer a.b.c ',
  ' Bearer a.b.c',
  'Bearer\ta.b.c',
  'Bearer a.b.c, Basic Og==',
  'Digest username="bob"',
  'Ym9iOmh1bnRlcjI=',
  'Basic Ym9i',
  'Basic Ym9iOmh1bnRlcjI==',
  'Basic Ym9iOmh1bnRlcjI=Ym9i',
  'Basic Ym9iOm_-',
  'Basic Y',
  `Basic ${base64('bob:hun\u0000ter')}`,
  `Basic ${base64('bob:hunter\n')}`,
  `Basic ${base64('bo\u0085b:hunter')}`,
  `Basic ${base64(Buffer.from([0x62, 0x3a, 0xff]))}`,
  `Basic ${base64(Buffer.from([0x62, 0x3a, 0xc0, 0x80]))}`,
  `Bearer ${'a'.repeat(12 * 1024)}`,
])('does not guess what %j means', value => {
  expect(parseAuthorization(value)).toEqual({ kind: 'unreadable' })
})
