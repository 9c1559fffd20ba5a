import { createServer, type Server, type ServerResponse } from 'node:http'
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest'
import type { PrincipalName } from '../../auth/access.ts'
import type { ConfiguredAccess, ConfiguredWorkload } from '../../server/access-settings.ts'
import { issuerKeys } from '../../server/issuer-keys.ts'
import { fault, io } from '../helpers/waiting.ts'

const name = 'ci' as PrincipalName
const key = { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', kid: 'one' }

let server: Server
let origin: string
let answers: Record<string, (res: ServerResponse) => void>
let asked: string[]

beforeEach(async () => {
  asked = []
  answers = {}
  server = createServer((req, res) => {
    asked.push(req.url ?? '')
    const answer = answers[req.url ?? '']
    if (answer) answer(res)
    else res.writeHead(404).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  origin = typeof address === 'object' ? `http://127.0.0.1:${address?.port}` : ''
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

const json = (value: unknown) => (res: ServerResponse) => {
  res.end(JSON.stringify(value))
}

const html = (res: ServerResponse) => {
  res.end('<html>')
}
const elsewhere = (res: ServerResponse) => {
  res.writeHead(302, { Location: '/other' }).end()
}

function keysOf(source: ConfiguredWorkload['keys'], keySets = {}) {
  const workload = { name, issuer: origin, audience: 'a', match: { sub: 'x' }, keys: source }
  const access: ConfiguredAccess = {
    rules: [],
    protections: [],
    groups: new Map(),
    workloads: new Map([[name, workload]]),
  }
  const files = { certificate: undefined, htpasswd: undefined, keySets }
  const keys = issuerKeys({ access: () => access, files: () => files })
  return () => keys(workload, io)
}

it('takes keys from the file that was read', async () => {
  const set = { keys: [key] }
  expect(await keysOf({ kind: 'file', path: '/keys' }, { '/keys': set })()).toBe(set)
})

it('fetches keys once, for all who ask', async () => {
  answers['/keys'] = json({ keys: [key] })
  const keys = keysOf({ kind: 'url', url: `${origin}/keys` })
  const found = await Promise.all([keys(), keys(), keys()])
  expect(new Set(found).size).toBe(1)
  expect(found[0]?.keys).toEqual([key])
  expect(asked).toEqual(['/keys'])
})

it('finds them where the issuer says', async () => {
  answers['/.well-known/openid-configuration'] = json({ issuer: origin, jwks_uri: `${origin}/jwks` })
  answers['/jwks'] = json({ keys: [key] })
  expect((await keysOf({ kind: 'discovery' })()).keys).toEqual([key])
})

it.for([
  ['is not there', undefined],
  ['is no JSON', html],
  ['has no keys', json({})],
  ['has keys that are none', json({ keys: ['x'] })],
  ['is too large', json({ keys: [{ ...key, fill: 'x'.repeat(300_000) }] })],
  ['sends elsewhere', elsewhere],
] as const)('tells a client to come again when the set %s', async ([, answer]) => {
  if (answer) answers['/keys'] = answer
  answers['/other'] = json({ keys: [key] })
  const keys = keysOf({ kind: 'url', url: `${origin}/keys` })
  await expect(keys()).rejects.toMatchObject(fault('ISSUER_UNAVAILABLE'))
  await expect(keys()).rejects.toMatchObject(fault('ISSUER_UNAVAILABLE'))
  expect(asked).toEqual(['/keys'])
})

it.for([
  ['another issuer', () => ({ issuer: 'https://other.test', jwks_uri: `${origin}/jwks` })],
  ['no keys', () => ({ issuer: origin })],
  ['keys by another protocol', () => ({ issuer: origin, jwks_uri: 'file:///etc/keys' })],
] as const)('believes no document that names %s', async ([, document]) => {
  answers['/.well-known/openid-configuration'] = json(document())
  answers['/jwks'] = json({ keys: [key] })
  await expect(keysOf({ kind: 'discovery' })()).rejects.toMatchObject(fault('ISSUER_UNAVAILABLE'))
})

it('goes on with what was fetched last while an issuer cannot be reached, and soon asks again', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const renewed = { keys: [{ ...key, kid: 'two' }] }
  answers['/keys'] = json({ keys: [key] })
  const keys = keysOf({ kind: 'url', url: `${origin}/keys` })
  expect(await keys()).toEqual({ keys: [key] })
  vi.advanceTimersByTime(9 * 60_000)
  answers['/keys'] = json(renewed)
  expect(await keys()).toEqual({ keys: [key] })
  vi.advanceTimersByTime(60_000)
  answers['/keys'] = html
  expect(await keys()).toEqual({ keys: [key] })
  vi.advanceTimersByTime(29_000)
  expect(await keys()).toEqual({ keys: [key] })
  expect(asked).toHaveLength(2)
  answers['/keys'] = json(renewed)
  vi.advanceTimersByTime(1_000)
  expect(await keys()).toEqual(renewed)
})
