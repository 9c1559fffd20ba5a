/** That the sweep at the end of every server and command finds what it is for (test/helpers/canaries.ts). */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { makeSecret } from '../../auth/secrets.ts'
import { basic, password } from '../helpers/access.ts'
import { administered } from '../helpers/administered.ts'
import { canary, leaksBelow, leaksIn, leaksInLog, secret } from '../helpers/canaries.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { send } from '../helpers/http.ts'
import { mediaTypes } from '../helpers/images.ts'
import { startRegistry } from '../helpers/registry.ts'
import { startServer } from '../helpers/server.ts'
import { soon } from '../helpers/waiting.ts'

const shown = secret('4f9QvyX0pLm3WzK7')
const token = makeSecret('robot').text
const jwt = `${'eyJhbGciOiJFUzI1NiJ9'}.${'a'.repeat(40)}.${'b'.repeat(86)}`

describe('the sweep finds', () => {
  it.for<readonly [what: string, text: string, kind: string]>([
    ['a password', `wrong password: ${password}`, 'a password'],
    ['a part of it', `"${password.slice(-10)}"`, 'a password'],
    ['one in base64', basic('x', password).slice(6), 'a password'],
    ['one in base64, moved by one', basic('xx', password).slice(6), 'a password'],
    ['one in base64, moved by two', basic('xxx', password).slice(6), 'a password'],
    ['an API token', `owner ${token}.`, 'an API token'],
    ['a token of ours, or of a workload', `{"token":"${jwt}"}`, 'a signed token'],
    ['a header', 'authorization: Basic dXNlcjpwYXNzd29yZA==', 'a header that authorizes'],
    ['a bearer', `Bearer ${'x'.repeat(30)}`, 'a header that authorizes'],
    ['a key of ours', `{"d":"${'A'.repeat(43)}"}`, 'a private key'],
    ['a key of TLS', '-----BEGIN PRIVATE KEY-----', 'a private key'],
    ['what was shown once', `password=${shown}&x=1`, 'a secret that was shown'],
    ['what was shown once, in a path', `/v2/app/blobs/uploads/${shown}`, 'a secret that was shown'],
  ])('%s', ([, text, kind]) => {
    expect(leaksIn(text, 'here')).toContain(`${kind} is in here`)
    expect(leaksIn(text, 'here').join()).not.toContain(text)
  })

  it('nothing in what a log says', () => {
    const line = { msg: 'request', who: 'user:alice', by: 'password', name: 'team/app', operation: 'ping' }
    expect(leaksInLog([line, { via: `token:${makeSecret('robot').id}`, kid: 'A'.repeat(43) }])).toEqual([])
    expect(leaksIn('Bearer realm="http://127.0.0.1/auth/token",service="slipway"', 'here')).toEqual([])
  })

  it('a secret in any file of a folder, but the keys where they are kept', async () => {
    const root = await temporaryFolder()
    for (const folder of ['secret', 'audit', 'm/x/y', 'd/00'])
      await mkdir(join(root, folder), { recursive: true })
    const key = `{"d":"${'A'.repeat(43)}"}`
    for (const [path, text] of [
      ['secret/keys', key],
      ['secret/access', token],
      ['audit/0000000001', `{"note":"${password}"}`],
      ['m/x/y/z', key],
      ['notes', shown],
      // What clients push is their own.
      ['d/00/x', token],
    ] as const)
      await writeFile(join(root, path), text)
    expect(leaksBelow(root).toSorted()).toEqual([
      'a password is in audit/0000000001',
      'a private key is in m/x/y/z',
      'a secret that was shown is in notes',
      'an API token is in secret/access',
    ])
  })
})

const isOurs = process.env.TEST_REGISTRY === undefined

describe.skipIf(!isOurs)('a test fails', () => {
  it('whose server has left a secret in its folder', async () => {
    const server = await startServer()
    await writeFile(join(server.data ?? '', 'audit-note'), token)
    await expect(server[Symbol.asyncDispose]()).rejects.toThrow(
      'secrets where they do not belong: an API token is in audit-note',
    )
  })

  it('whose server has logged one: here, a tag that somebody has made of a password', async () => {
    const server = await startServer()
    const tag = canary('oops').replace(' ', '-')
    const body = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.oci.index, manifests: [] })
    const headers = { 'Content-Type': mediaTypes.oci.index }
    const path = `/v2/app/manifests/${tag}`
    expect((await send(server.address, path, { method: 'PUT', headers, body })).status).toBe(201)
    await expect(server[Symbol.asyncDispose]()).rejects.toThrow(
      /a password is in the log; a password is in audit/,
    )
  })

  it('whose registry has observed one', async () => {
    const registry = await startRegistry()
    await send(registry.address, '/v2/')
    const [line] = registry.observations
    Object.assign(line ?? {}, { who: password })
    await expect(registry[Symbol.asyncDispose]()).rejects.toThrow('a password is in the log')
  })

  it('whose registry keeps one among its records', async () => {
    const registry = await startRegistry()
    await registry.store.write('audit/0000000001', Buffer.from(token), soon({ ifAbsent: true }))
    await expect(registry[Symbol.asyncDispose]()).rejects.toThrow('an API token is in audit/0000000001')
  })

  it('whose command has printed one', async () => {
    const { run } = administered()
    const { status } = await run('robot add ci')
    expect(status).toBe(0)
    await expect(run(`can ${canary('bob').replace(' ', '-')} pull a`)).rejects.toThrow(
      'a password is in the output of can',
    )
  })
})
