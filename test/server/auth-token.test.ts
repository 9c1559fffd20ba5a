/** The token server as clients use it (auth-security 1.2 to 1.6, 1.13). */
import { createLocalJWKSet, decodeJwt, jwtVerify } from 'jose'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { noAccessSettings } from '../../server/access-control.ts'
import {
  apiToken,
  basic,
  bearer,
  password,
  someWorkloads,
  storedRules,
  storedUser,
} from '../helpers/access.ts'
import { type Guarded, guarded } from '../helpers/guarded.ts'
import type { HttpAnswer } from '../helpers/http.ts'
import { name } from '../helpers/principals.ts'

const url = 'https://reg.acme.dev'
const personal = apiToken('user:bob', { ceiling: ['pull **'] })
const revoked = apiToken('user:bob', { revokedMs: 1 })
let registry: Guarded
beforeAll(async () => {
  registry = await guarded(
    {
      users: [storedUser('bob')],
      tokens: [personal.stored, revoked.stored],
      rules: storedRules(
        'push team-a/** bob',
        'pull base/** bob',
        'pull public/** anyone',
        'pull ci/** workload:gha',
      ),
    },
    { settings: { url }, workloads: () => someWorkloads, access: () => configured },
  )
})
afterAll(() => registry[Symbol.asyncDispose]())

const configured = { ...noAccessSettings, workloads: new Map([[name('gha'), 'x']]) }
const bob = basic('bob', password)

interface Token {
  readonly token: string
  readonly access_token: string
  readonly expires_in: number
  readonly [field: string]: unknown
}
const read = ({ text }: HttpAnswer) => JSON.parse(text) as Token
const accessIn = (answer: HttpAnswer) => decodeJwt(read(answer).token).access
const repository = (text: string, ...actions: readonly string[]) => ({
  type: 'repository',
  name: text,
  actions,
})
const get = (query: string, authorization?: string) =>
  registry.send(`/auth/token?${query}`, { authorization })
const post = (fields: string | readonly (readonly [string, string])[], type = form) =>
  registry.send('/auth/token', {
    method: 'POST',
    headers: { 'Content-Type': type },
    body:
      typeof fields === 'string'
        ? fields
        : new URLSearchParams(fields.map(([key, value]) => [key, value])).toString(),
  })
const form = 'application/x-www-form-urlencoded'

it('takes docker login: a challenge, a token for nothing, and that token', async () => {
  const first = await registry.send('/v2/')
  expect([first.status, first.challenge]).toEqual([
    401,
    'Bearer realm="https://reg.acme.dev/auth/token",service="reg.acme.dev"',
  ])
  expect(first.text).toBe('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}')
  expect(first.headers['docker-distribution-api-version']).toBe('registry/2.0')
  const answer = await get('account=bob&client_id=docker&offline_token=true&service=reg.acme.dev', bob)
  const { token } = read(answer)
  expect(read(answer)).toEqual({ token, access_token: token, expires_in: 900 })
  expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', pragma: 'no-cache' })
  expect(decodeJwt(token)).toMatchObject({ iss: url, aud: 'reg.acme.dev', sub: 'user:bob', access: [] })
  const last = await registry.send('/v2/', { authorization: bearer(token) })
  expect([last.status, last.text]).toEqual([200, '{}'])
})

it('takes containerd: the scope of the challenge, and a form with a password', async () => {
  const { status, challenge } = await registry.send('/v2/team-a/app/manifests/v1', { method: 'HEAD' })
  expect([status, challenge]).toEqual([
    401,
    'Bearer realm="https://reg.acme.dev/auth/token",service="reg.acme.dev",scope="repository:team-a/app:pull"',
  ])
  const answer = await post(
    [
      ['grant_type', 'password'],
      ['username', 'bob'],
      ['password', password],
      ['client_id', 'containerd-client'],
      ['scope', 'repository:team-a/app:pull'],
      ['service', 'reg.acme.dev'],
      ['access_type', 'offline'],
    ],
    `${form}; charset=utf-8`,
  )
  const { token } = read(answer)
  expect(read(answer)).toEqual({
    token,
    access_token: token,
    token_type: 'bearer',
    scope: 'repository:team-a/app:pull',
    expires_in: 900,
  })
})

it.for([
  [
    'crane',
    'scope=repository:team-a/app:push,pull&scope=repository:base/node:pull',
    [repository('team-a/app', 'pull', 'push'), repository('base/node', 'pull')],
  ],
  [
    'two scopes in one',
    'scope=repository:team-a/app:pull,push%20repository:base/node:pull',
    [repository('team-a/app', 'pull', 'push'), repository('base/node', 'pull')],
  ],
  ['skopeo delete', 'scope=repository:team-a/app:%2A', [repository('team-a/app', 'pull', 'push')]],
  ['old plugins', 'scope=repository(plugin):team-a/p:pull', [repository('team-a/p', 'pull')]],
  ['a catalog', 'scope=registry:catalog:*', [{ type: 'registry', name: 'catalog', actions: ['*'] }]],
  ['what is not theirs', 'scope=repository:secret/x:pull,push', []],
  ['too much', 'scope=repository:base/node:pull,push,delete', [repository('base/node', 'pull')]],
  ['nonsense', 'scope=repository:..:pull&scope=x&scope=repository:team-a/app:fly&scope=robot:a:pull', []],
] as const)('grants what was asked for and is theirs: %s', async ([, query, access]) => {
  const answer = await get(`${query}&service=reg.acme.dev`, bob)
  expect([answer.status, accessIn(answer)]).toEqual([200, access])
})

it('takes podman with an identity token: repeated scopes, one of our API tokens', async () => {
  const answer = await post([
    ['scope', 'repository:team-a/app:pull,push'],
    ['scope', 'repository:base/node:pull'],
    ['grant_type', 'refresh_token'],
    ['refresh_token', personal.text],
  ])
  expect(accessIn(answer)).toEqual([repository('team-a/app', 'pull'), repository('base/node', 'pull')])
  expect(decodeJwt(read(answer).token)).toMatchObject({ sub: 'user:bob', cid: `token:${personal.id}` })
})

it('changes a token of a workload for one of ours', async () => {
  const answer = await post([
    ['grant_type', 'urn:ietf:params:oauth:grant-type:token-exchange'],
    ['subject_token', 'workload.gha.x'],
    ['scope', 'repository:ci/app:pull'],
  ])
  expect(read(answer)).toMatchObject({
    scope: 'repository:ci/app:pull',
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  })
})

it('tells the log alone why a token of a workload was not taken', async () => {
  const { status, text } = await get('scope=repository:ci/app:pull', basic('gha', 'workload.gha.forged'))
  expect([status, text]).toEqual([401, denial])
  await expect
    .poll(() => registry.observations.flatMap(each => ('error' in each ? [each.error] : [])))
    .toContain('token was not accepted: signature')
})

it.for([
  ['nothing', undefined],
  ['an empty name and password', 'Basic Og=='],
] as const)('gives who shows %s a token for what is public', async ([, authorization]) => {
  const open = await get('scope=repository:public/tools:pull,push', authorization)
  expect(decodeJwt(read(open).token)).toMatchObject({ sub: '', access: [repository('public/tools', 'pull')] })
  const closed = await get('scope=repository:secret/x:pull', authorization)
  expect([closed.status, accessIn(closed)]).toEqual([200, []])
  const { status, challenge, text } = await registry.send('/v2/secret/x/manifests/v1', {
    authorization: bearer(read(closed).token),
  })
  expect(status).toBe(401)
  expect(challenge).toBe(
    'Bearer realm="https://reg.acme.dev/auth/token",service="reg.acme.dev",scope="repository:secret/x:pull",error="insufficient_scope"',
  )
  expect(text).toBe(
    '{"errors":[{"code":"UNAUTHORIZED","message":"access to repository secret/x is not granted","detail":[{"type":"repository","name":"secret/x","action":"pull"}]}]}',
  )
  const login = await get('service=reg.acme.dev', authorization)
  expect([login.status, login.challenge]).toEqual([401, 'Basic realm="reg.acme.dev"'])
})

const denial =
  '{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}],"error":"invalid_grant"}'

it('refuses what is wrong in the same words, whatever it was', async () => {
  const issued = read(await get('scope=repository:team-a/app:pull', bob)).token
  const scope = 'scope=repository:public/tools:pull'
  const answers = [
    await get(scope, basic('bob', 'wrong')),
    await get(scope, basic('nobody', password)),
    await get(scope, basic('bob', revoked.text)),
    await get(scope, basic('bob', `${personal.text}x`)),
    await get(scope, basic('bob', issued)),
    await get(scope, bearer(issued)),
    await get(scope, bearer(personal.text)),
    await get(scope, 'Basic !'),
    await post([
      ['grant_type', 'password'],
      ['username', 'bob'],
      ['password', 'wrong'],
    ]),
    await post([
      ['grant_type', 'password'],
      ['username', 'bob\n'],
      ['password', password],
    ]),
    await post([
      ['grant_type', 'refresh_token'],
      ['refresh_token', issued],
    ]),
    await post([
      ['grant_type', 'refresh_token'],
      ['refresh_token', password],
      ['username', 'bob'],
    ]),
    await post([
      ['grant_type', 'refresh_token'],
      ['refresh_token', revoked.text],
    ]),
    await post([
      ['grant_type', 'urn:ietf:params:oauth:grant-type:token-exchange'],
      ['subject_token', password],
    ]),
  ]
  for (const { status, text, challenge } of answers)
    expect([status, text, challenge]).toEqual([401, denial, 'Basic realm="reg.acme.dev"'])
})

it.for([
  ['grant_type=client_credentials', form, 400, 'unsupported_grant_type'],
  ['grant_type=constructor', form, 400, 'unsupported_grant_type'],
  ['', form, 400, 'unsupported_grant_type'],
  ['grant_type=password&username=bob&username=root&password=x', form, 400, 'there twice'],
  ['{"grant_type":"password"}', 'application/json', 400, 'expected a form'],
  [`grant_type=password&password=${'x'.repeat(64 * 1024)}`, form, 413, 'larger'],
] as const)('refuses the form %s', async ([body, type, status, words]) => {
  const answer = await post(body, type)
  expect(answer.status).toBe(status)
  expect(answer.text).toContain(words)
})

it('knows one service, and says so only to who may ask', async () => {
  const query = 'scope=repository:team-a/app:pull&service=other.example'
  expect((await get(query, basic('bob', 'wrong'))).status).toBe(401)
  const known = await get(query, bob)
  expect([known.status, known.code]).toEqual([400, 'UNSUPPORTED'])
  expect(known.text).not.toContain('other.example')
})

it('reads credentials where they belong only', async () => {
  const { status } = await registry.send(
    `/auth/token?grant_type=password&username=bob&password=${encodeURIComponent(password)}`,
    { method: 'POST', headers: { 'Content-Type': form }, authorization: bob },
  )
  expect(status).toBe(400)
  expect((await registry.send('/auth/token', { method: 'DELETE' })).headers.allow).toBe('GET, POST')
})

it('publishes the keys that its tokens are signed with', async () => {
  const { headers, text } = await registry.send('/.well-known/jwks.json')
  expect(headers['content-type']).toBe('application/jwk-set+json')
  expect(text).not.toContain('"d"')
  const { token } = read(await get('', bob))
  await expect(jwtVerify(token, createLocalJWKSet(JSON.parse(text)))).resolves.toBeTruthy()
})

it('is called by the name that was used, on loopback, and by no other', async () => {
  await using local = await guarded({ users: [storedUser('bob')] })
  const realm = async (host: string) => {
    const { challenge = '' } = await local.send('/v2/', { headers: { Host: host } })
    return /realm="([^"]*)"/.exec(challenge)?.[1]
  }
  expect(await realm('localhost:5000')).toBe('http://localhost:5000/auth/token')
  expect(await realm('[::1]:5000')).toBe('http://[::1]:5000/auth/token')
  const strangers = [
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example:80',
    'a"b',
    'localhost:x',
    '10.0.0.1',
  ]
  for (const host of strangers) expect(await realm(host)).toBe(`${local.address}/auth/token`)
})

it('asks nobody anything while nobody is known', async () => {
  await using open = await guarded({})
  expect((await open.send('/v2/')).status).toBe(200)
  expect((await open.as('whoever', '/v2/_catalog')).status).toBe(200)
  expect((await open.send('/auth/token?scope=repository:a:pull')).status).toBe(200)
})
