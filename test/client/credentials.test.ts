import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { dockerCredentials } from '../../client/credentials.ts'
import { io } from '../helpers/waiting.ts'

const encoded = (text: string) => Buffer.from(text).toString('base64')
const password = (username: string, secret: string) => ({ kind: 'password', username, password: secret })

function folder(config?: unknown): string {
  const path = mkdtempSync(join(tmpdir(), 'slipway-docker-'))
  onTestFinished(() => rmSync(path, { recursive: true }))
  if (config !== undefined)
    writeFileSync(join(path, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config))
  return path
}

const find = (config: unknown, host: string) => dockerCredentials(folder(config))(host, io)

/** A credential helper that runs a line of shell. */
function helper(name: string, line: string): void {
  const path = folder()
  const program = join(path, `docker-credential-${name}`)
  writeFileSync(program, `#!/bin/sh\n${line}\n`)
  chmodSync(program, 0o755)
  vi.stubEnv('PATH', `${path}:${process.env.PATH}`)
}

it.for<[key: string, host: string]>([
  ['reg.acme.dev', 'reg.acme.dev'],
  ['https://reg.acme.dev', 'reg.acme.dev'],
  ['http://localhost:5000/v2/', 'localhost:5000'],
  ['https://index.docker.io/v1/', 'docker.io'],
  ['docker.io', 'docker.io'],
])('finds what is kept for %s when it asks %s', async ([key, host]) => {
  expect(await find({ auths: { 'other.dev': {}, [key]: { auth: encoded('bob:a:b') } } }, host)).toEqual(
    password('bob', 'a:b'),
  )
})

it.for<[entry: unknown, expected: unknown]>([
  [{ username: 'bob', password: 'x' }, password('bob', 'x')],
  [
    { auth: encoded('<token>:'), identitytoken: 'secret' },
    { kind: 'identity', token: 'secret' },
  ],
  [{ auth: encoded('no colon') }, undefined],
  [{ auth: 7 }, undefined],
  [{}, undefined],
  ['text', undefined],
])('understands an entry such as %j', async ([entry, expected]) => {
  expect(await find({ auths: { 'a.b': entry } }, 'a.b')).toEqual(expected)
})

it.for([undefined, {}, [], { auths: null }, { auths: { 'a.b:5000': { auth: encoded('bob:x') } } }])(
  'knows nobody for another host in %j',
  async config => {
    expect(await find(config, 'a.b')).toBeUndefined()
  },
)

it('says which file is broken', async () => {
  await expect(find('{', 'a.b')).rejects.toThrow(/^\S+\/config\.json: it is not JSON: mend it/)
})

it('asks the helper of the host, by the protocol', async () => {
  helper('one', 'read host; echo "{\\"Username\\":\\"$1\\",\\"Secret\\":\\"$host\\"}"')
  const config = {
    credHelpers: { 'a.b': 'one' },
    credsStore: 'missing',
    auths: { 'a.b': { auth: encoded('x:y') } },
  }

  expect(await find(config, 'a.b')).toEqual(password('get', 'a.b'))
})

it('asks the helper of all hosts, by the name it has for Docker Hub', async () => {
  helper('all', 'read host; echo "{\\"Username\\":\\"<token>\\",\\"Secret\\":\\"$host\\"}"')

  expect(await find({ credsStore: 'all' }, 'docker.io')).toEqual({
    kind: 'identity',
    token: 'https://index.docker.io/v1/',
  })
})

it('reads on where a helper knows nothing', async () => {
  helper('none', 'echo credentials not found in native keychain; exit 1')
  const auths = { 'a.b': { auth: encoded('bob:x') } }

  expect(await find({ credsStore: 'none', auths }, 'a.b')).toEqual(password('bob', 'x'))
  expect(await find({ credsStore: 'none', auths }, 'c.d')).toBeUndefined()
})

it.for<[name: string, line: string, why: RegExp]>([
  ['broken', 'echo locked >&2; exit 1', /^docker-credential-broken, which \S+ names for a\.b: it failed$/],
  ['chatty', 'echo secret', /^docker-credential-chatty answered with no credentials for a\.b$/],
  ['gone', '', /answered with no credentials/],
])('fails when the helper %s does', async ([name, line, why]) => {
  helper(name, line)
  await expect(find({ credsStore: name }, 'a.b')).rejects.toThrow(why)
})

it.for<[name: string, why: RegExp]>([
  ['not-installed', /there is no such program/],
  ['../../bin/sh', /is no name of a credential helper/],
])('runs nothing for %s', async ([name, why]) => {
  await expect(find({ credsStore: name }, 'a.b')).rejects.toThrow(why)
})
