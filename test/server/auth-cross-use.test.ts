/** Each kind of secret opens what it is for, and nothing else (auth-security 3.3, row 23). */
import { expect, it } from 'vitest'
import { apiToken, bearer, password, someWorkloads, storedRules, storedUser } from '../helpers/access.ts'
import { type Guarded, guarded } from '../helpers/guarded.ts'
import type { HttpRequest } from '../helpers/http.ts'
import { name } from '../helpers/principals.ts'

const personal = apiToken('user:alice')
const robot = apiToken('robot:ci')

async function registry(): Promise<Guarded> {
  return guarded(
    {
      users: [storedUser('alice')],
      robots: [{ name: name('ci'), createdMs: 1 }],
      tokens: [personal.stored, robot.stored],
      rules: storedRules('push ** alice robot:ci workload:gha'),
    },
    {
      workloads: () => someWorkloads,
      access: () => ({
        groups: new Map(),
        rules: [],
        protections: [],
        htpasswd: new Map(),
        workloads: new Map([[name('gha'), 'x']]),
        isExposed: false,
      }),
    },
  )
}

const form = (fields: Readonly<Record<string, string>>): readonly [string, HttpRequest] => [
  '/auth/token',
  {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  },
]
/** By hand, as hashes, which are kept, are tried for secrets too. */
const basic = (username: string, shown: string) =>
  `Basic ${Buffer.from(`${username}:${shown}`).toString('base64')}`
const withHeaders = (path: string, headers: Readonly<Record<string, string>>) => [path, { headers }] as const

/** Every place where somebody could try a secret. Anything but 200 is a refusal. */
const places = {
  'Basic at the registry': secret => ['/v2/', { authorization: basic('alice', secret) }],
  'Bearer at the registry': secret => ['/v2/', { authorization: bearer(secret) }],
  'Basic at the token server': secret => ['/auth/token', { authorization: basic('alice', secret) }],
  'Bearer at the token server': secret => ['/auth/token', { authorization: bearer(secret) }],
  'as a password': secret => form({ grant_type: 'password', username: 'alice', password: secret }),
  'as a refresh token': secret => form({ grant_type: 'refresh_token', refresh_token: secret }),
  'in exchange for a token': secret =>
    form({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: secret,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    }),
  'as the name, with an empty password': secret => ['/v2/', { authorization: basic(secret, '') }],
  'under another scheme': secret => ['/v2/', { authorization: `Token ${secret}` }],
  'for a proxy': secret => withHeaders('/v2/', { 'Proxy-Authorization': bearer(secret) }),
  'in a header of Docker’s engine': secret => withHeaders('/v2/', { 'X-Registry-Auth': secret }),
  'in a header for API keys': secret => withHeaders('/v2/', { 'X-Api-Key': secret }),
  'in a cookie of the registry': secret =>
    withHeaders('/v2/', { Cookie: `__Host-session=${encodeURIComponent(secret)}; session=x` }),
  'in a cookie of the token server': secret =>
    withHeaders('/auth/token', { Cookie: `session=${encodeURIComponent(secret)}` }),
  'in the query of the registry': secret => [`/v2/?${new URLSearchParams({ access_token: secret })}`, {}],
  'in the query of the token server': secret => [
    `/auth/token?${new URLSearchParams({ username: 'alice', password: secret, token: secret })}`,
    {},
  ],
} as const satisfies Record<string, (secret: string) => readonly [string, HttpRequest]>

type Place = keyof typeof places
const byName: readonly Place[] = ['Basic at the registry', 'Basic at the token server', 'as a password']

it.for<
  readonly [kind: string, secret: (registry: Guarded) => Promise<string> | string, opens: readonly Place[]]
>([
  ['a password', () => password, byName],
  ['an API token of a person', () => personal.text, [...byName, 'as a refresh token']],
  ['an API token of a robot', () => robot.text, [...byName, 'as a refresh token']],
  ['a token of a workload', () => 'workload.gha.x', [...byName, 'in exchange for a token']],
  [
    'a token of ours',
    async each => (await each.token('alice', 'repository:a:pull,push')).slice('Bearer '.length),
    ['Bearer at the registry'],
  ],
  [
    'a token of ours for nobody',
    async each => (await each.token(undefined, 'repository:a:pull')).slice('Bearer '.length),
    ['Bearer at the registry'],
  ],
  [
    'the address of an upload',
    async each => {
      const { headers } = await each.as('alice', '/v2/a/blobs/uploads/', { method: 'POST' })
      return String(headers.location).split('/').at(-1) ?? ''
    },
    [],
  ],
  ['the id of an API token', () => personal.id, []],
  ['the hash of an API token', () => personal.stored.sha256, []],
  ['the hash of a password', () => storedUser('alice').password ?? '', []],
])('%s opens what it is for', async ([, make, opens]) => {
  await using each = await registry()
  const secret = await make(each)
  const found: string[] = []
  for (const [place, request] of Object.entries(places)) {
    const [path, options] = request(secret)
    const { status, text } = await each.send(path, options)
    if (status === 200) found.push(place)
    else {
      expect([place, status]).toEqual([place, 401])
      expect(text).not.toContain(secret)
    }
  }
  expect(found.toSorted()).toEqual([...opens].toSorted())
})

it('opens an upload by its address to nobody who shows nothing else', async () => {
  await using each = await registry()
  const { headers } = await each.as('alice', '/v2/a/blobs/uploads/', { method: 'POST' })
  for (const method of ['GET', 'PATCH', 'PUT', 'DELETE']) {
    const query = method === 'PUT' ? `?digest=sha256:${'0'.repeat(64)}` : ''
    expect((await each.send(`${headers.location}${query}`, { method })).status).toBe(401)
  }
  expect((await each.as('alice', String(headers.location))).status).toBe(204)
})
