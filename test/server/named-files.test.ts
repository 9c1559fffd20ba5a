import { createPrivateKey } from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type NamedFiles, namedPaths, readNamedFiles } from '../../server/named-files.ts'
import { selfSigned } from '../helpers/certificate.ts'
import { load } from '../helpers/settings.ts'

const nowMs = Date.now()
const dayMs = 86_400_000
const one = selfSigned()
const other = selfSigned()
const hash = `$2y$04$${'a'.repeat(53)}`
const ec = { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', kid: '1' }
const yaml = [
  'tls: { cert: a.crt, key: a.key }',
  'login: { htpasswd: users }',
  'workloads: { ci: { issuer: "https://ci", audience: reg, match: { sub: x }, jwks_file: keys.json } }',
].join('\n')

function read(files: Readonly<Record<string, string>>, before?: NamedFiles, at = nowMs, more = '') {
  const loaded = load({ yaml: `${yaml}\n${more}`, files })
  const { faults, warnings, ...rest } = readNamedFiles(loaded, { before, nowMs: at })
  const short = (lines: readonly string[]) => lines.map(line => line.replaceAll(`${loaded.cwd}/`, ''))
  return { ...rest, faults: short(faults.map(({ line }) => line)), warnings: short(warnings), loaded }
}

describe('the files that settings name', () => {
  const good = {
    'a.crt': one.cert,
    'a.key': one.key,
    users: `bob:${hash}\n`,
    'keys.json': JSON.stringify({ keys: [ec] }),
  }

  it('are read whole', () => {
    const { files, faults, loaded } = read(good)
    expect(faults).toEqual([])
    expect(files).toEqual({
      certificate: { cert: good['a.crt'], key: good['a.key'] },
      htpasswd: good.users,
      keySets: { [join(loaded.cwd, 'keys.json')]: { keys: [ec] } },
    })
    expect(namedPaths(loaded.settings)).toEqual(
      ['a.crt', 'a.key', 'users', 'keys.json'].map(name => join(loaded.cwd, name)),
    )
  })

  it.for<[what: string, files: Readonly<Record<string, string>>, fault: string]>([
    ['no certificate', { 'a.crt': 'x' }, '1: tls.cert: a.crt: has no certificate in PEM form'],
    ['no key', { 'a.key': 'SECRET' }, '1: tls.key: a.key: has no key in PEM form without a password'],
    ['another key', { 'a.key': other.key }, '1: tls.key: a.key: is not the key of tls.cert'],
    [
      'no users',
      { users: '# nobody\n' },
      '2: login.htpasswd: users: has no users: write one with htpasswd -B',
    ],
    [
      'a plain password',
      { users: `bob:${hash}\neve:SECRET\n` },
      '2: login.htpasswd: users: line 2: expected a bcrypt hash, found crypt or a plain password: write it with htpasswd -B',
    ],
    [
      'no keys',
      { 'keys.json': '{"keys": []}' },
      '3: workloads.ci.jwks_file: keys.json: is no JSON Web Key Set: expected {"keys": […]} with at least one key',
    ],
    [
      'a word instead of keys',
      { 'keys.json': 'SECRET' },
      '3: workloads.ci.jwks_file: keys.json: is no JSON Web Key Set: expected {"keys": […]} with at least one key',
    ],
    [
      'a private key',
      { 'keys.json': JSON.stringify({ keys: [{ ...ec, d: 'SECRET' }] }) },
      '3: workloads.ci.jwks_file: keys.json: has a secret key: expected public keys only',
    ],
  ])('are refused: %s', ([, files, fault]) => {
    const { faults } = read({ ...good, ...files })
    expect(faults).toEqual([`slipway.yaml:${fault}`])
  })

  it('are refused when they are missing, each in its place', () => {
    const missing = 'cannot be read: there is no such file'
    expect(read({}).faults).toEqual([
      `slipway.yaml:3: workloads.ci.jwks_file: keys.json: ${missing}`,
      `slipway.yaml:1: tls.cert: a.crt: ${missing}`,
      `slipway.yaml:1: tls.key: a.key: ${missing}`,
      `slipway.yaml:2: login.htpasswd: users: ${missing}`,
    ])
  })

  it('stay what they were where they are broken, and change where they are not', () => {
    const before = read(good).files
    const users = `carol:${hash}\n`
    const { files, faults } = read({ ...good, 'a.key': other.key, users }, before)
    expect(faults).toHaveLength(1)
    expect(files).toMatchObject({ certificate: before.certificate, htpasswd: users })
    expect(read({ ...good, users: '' }, before).files.htpasswd).toBe(good.users)
  })

  it.for<[when: string, at: number, warning: RegExp[]]>([
    [
      'tomorrow',
      nowMs + 0.8 * dayMs,
      [/^slipway\.yaml:1: tls\.cert: a\.crt: expires on \d{4}-\d\d-\d\d: renew it$/],
    ],
    ['past its end', nowMs + 3 * dayMs, [/a\.crt: expired on \d{4}-\d\d-\d\d, and clients refuse it$/]],
    ['before its beginning', nowMs - 3 * dayMs, [/a\.crt: is not valid before \d{4}-\d\d-\d\d$/]],
  ])('are warned of: a certificate at the wrong time: %s', ([, at, warnings]) => {
    expect(read(good, undefined, at).warnings).toEqual(warnings.map(text => expect.stringMatching(text)))
  })

  it('are warned of: a certificate that is for somebody else', () => {
    const warnings = (url: string) =>
      read(good, undefined, nowMs, `url: ${url}`).warnings.filter(line => / not for /.test(line))
    expect(warnings('https://localhost')).toEqual([])
    expect(warnings('https://127.0.0.1:5000')).toEqual([])
    expect(warnings('https://reg.acme.dev')).toEqual([
      'slipway.yaml:1: tls.cert: a.crt: is not for reg.acme.dev, and clients refuse it',
    ])
  })

  it('are refused: a key with a password', () => {
    const how = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'SECRET' } as const
    const locked = createPrivateKey(good['a.key']).export(how)
    expect(read({ ...good, 'a.key': locked.toString() }).faults).toEqual([
      'slipway.yaml:1: tls.key: a.key: has no key in PEM form without a password',
    ])
  })
})

describe('the file that has the secret of a bucket', () => {
  const settings = 'storage: { s3: { bucket: registry, access_key_id: key, secret_access_key_file: secret } }'
  const readSecret = (files: Readonly<Record<string, string>>, before?: NamedFiles) => {
    const loaded = load({ yaml: settings, files })
    const { faults, files: found } = readNamedFiles(loaded, { before, nowMs })
    return {
      secret: found.s3Secret,
      faults: faults.map(({ line }) => line.replaceAll(`${loaded.cwd}/`, '')),
      found,
    }
  }

  it.for(['a+/=b', 'a+/=b\n', 'a+/=b\r\n'])('has one line, however it ends: %j', text => {
    expect(readSecret({ secret: text })).toMatchObject({ secret: 'a+/=b', faults: [] })
  })

  it.for<[what: string, files: Readonly<Record<string, string>>, fault: string]>([
    ['missing', {}, 'cannot be read: there is no such file'],
    ['a folder', { 'secret/x': '' }, 'cannot be read: it is a folder'],
    ['empty', { secret: '\n' }, 'expected one line with the secret'],
    ['two lines', { secret: 'key\nSECRET\n' }, 'expected one line with the secret'],
    ['two words', { secret: 'key SECRET\n' }, 'expected one line with the secret'],
  ])('is refused: %s', ([, files, fault]) => {
    const { secret, faults } = readSecret(files)
    expect(secret).toBeUndefined()
    expect(faults).toEqual([`slipway.yaml:1: storage.s3.secret_access_key_file: secret: ${fault}`])
  })

  it('stays what it was where it is broken', () => {
    const before = readSecret({ secret: 'one\n' }).found
    expect(readSecret({ secret: '' }, before)).toMatchObject({ secret: 'one' })
  })
})
