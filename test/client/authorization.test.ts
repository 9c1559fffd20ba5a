import { expect, it, vi } from 'vitest'
import type { Credentials } from '../../client/credentials.ts'
import { type RegistryClient, registryClient } from '../../client/registry-client.ts'
import {
  type Asked,
  app,
  json,
  type Reply,
  type ScriptedServer,
  scriptedServer,
} from '../helpers/scripted-server.ts'
import { io } from '../helpers/waiting.ts'

const bob = { kind: 'password', username: 'bob', password: 's3cret' } as const
const bobsHeader = `Basic ${Buffer.from('bob:s3cret').toString('base64')}`

const client = (server: ScriptedServer, credentials?: Credentials) =>
  registryClient(server.host, { credentials: async () => credentials })

async function tags(registry: RegistryClient): Promise<readonly string[]> {
  return (await Array.fromAsync(registry.repository(app).tags(io))).flat()
}

const demand = (challenge: string, body: unknown = {}): Reply => ({
  ...json(body, { 'WWW-Authenticate': challenge }),
  status: 401,
})
const bearer = ({ host }: ScriptedServer, more = '') =>
  `Bearer realm="http://${host}/token",service="reg"${more}`
const isRealm = ({ path }: Asked) => path.startsWith('/token')
const authorizations = ({ asked }: ScriptedServer) => asked.map(({ headers }) => headers.authorization)
const listed = json({ tags: ['1'] })

/** A registry that takes the tokens in this order only, and gives them at its realm. */
const tokenRegistry = (isGood: (header: string | undefined) => boolean) => {
  let count = 0
  return scriptedServer((asked, self) => {
    if (isRealm(asked)) return json({ token: `t${++count}` })
    return isGood(asked.headers.authorization)
      ? listed
      : demand(bearer(self, ',scope="repository:team/app:pull"'))
  })
}

it('gets a token for nobody where nobody has logged in', async () => {
  await using server = await tokenRegistry(header => header === 'Bearer t1')

  expect(await tags(client(server))).toEqual(['1'])
  expect(server.asked.map(({ path }) => path)).toEqual([
    '/v2/team/app/tags/list',
    '/token?service=reg&scope=repository%3Ateam%2Fapp%3Apull',
    '/v2/team/app/tags/list',
  ])
  expect(authorizations(server)).toEqual([undefined, undefined, 'Bearer t1'])
})

it('shows the password to the realm only, and uses the token again', async () => {
  await using server = await tokenRegistry(header => header === 'Bearer t1')
  const registry = client(server, bob)

  await tags(registry)
  await tags(registry)

  expect(authorizations(server)).toEqual([undefined, bobsHeader, 'Bearer t1', 'Bearer t1'])
})

it('asks for what it needs and what is demanded, each resource once', async () => {
  await using server = await scriptedServer((asked, self) => {
    if (isRealm(asked)) return json({ access_token: 't' })
    if (asked.headers.authorization) return listed
    return demand(bearer(self, ',scope="repository:other:pull repository:team/app:push registry:catalog:*"'))
  })

  await tags(client(server))

  const [, asked] = server.asked
  expect(new URL(asked?.path ?? '', server.url).searchParams.getAll('scope')).toEqual([
    'registry:catalog:*',
    'repository:other:pull',
    'repository:team/app:pull,push',
  ])
})

it('gets one token for all that wait for it', async () => {
  await using server = await tokenRegistry(header => header === 'Bearer t1')
  const registry = client(server)

  expect(await Promise.all([tags(registry), tags(registry), tags(registry)])).toEqual([['1'], ['1'], ['1']])
  expect(server.asked.filter(isRealm)).toHaveLength(1)
})

it('tries another token once when one is refused', async () => {
  let good = 'Bearer t1'
  await using server = await tokenRegistry(header => header === good)
  const registry = client(server)
  await tags(registry)
  good = 'Bearer t2'

  expect(await tags(registry)).toEqual(['1'])
  expect(authorizations(server)).toEqual([
    undefined,
    undefined,
    'Bearer t1',
    'Bearer t1',
    undefined,
    'Bearer t2',
  ])
})

it('gets one new token for all whose old one is refused', async () => {
  let good = 'Bearer t1'
  await using server = await tokenRegistry(header => header === good)
  const registry = client(server)
  await tags(registry)
  good = 'Bearer t2'

  expect(await Promise.all([tags(registry), tags(registry), tags(registry)])).toEqual([['1'], ['1'], ['1']])
  expect(server.asked.filter(isRealm)).toHaveLength(2)
})

it('gives up when the second token is refused as well', async () => {
  await using server = await tokenRegistry(() => false)

  await expect(tags(client(server))).rejects.toThrow(/: 401: log in with docker login$/)
  expect(server.asked).toHaveLength(3)
})

it('gets one other token for all when one has expired', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: 0 })
  try {
    await using server = await tokenRegistry(header => header !== undefined)
    const registry = client(server)
    await tags(registry)
    vi.setSystemTime(61_000)
    await Promise.all([tags(registry), tags(registry)])

    const second = [undefined, 'Bearer t2', 'Bearer t2']
    expect(authorizations(server)).toEqual([undefined, undefined, 'Bearer t1', ...second])
  } finally {
    vi.useRealTimers()
  }
})

it('shows a password to the registry where that is what it demands', async () => {
  await using server = await scriptedServer(({ headers }) =>
    headers.authorization === bobsHeader ? listed : demand('Basic realm="reg"'),
  )
  const registry = client(server, bob)

  await tags(registry)
  await tags(registry)

  expect(authorizations(server)).toEqual([undefined, bobsHeader, bobsHeader])
})

it('renews what a login left by POST, with the scopes in one field', async () => {
  await using server = await scriptedServer((asked, self) => {
    if (isRealm(asked)) return json({ access_token: 't' })
    return asked.headers.authorization ? listed : demand(bearer(self))
  })

  await tags(client(server, { kind: 'identity', token: 'kept' }))

  const form = new URLSearchParams(server.asked[1]?.body.toString())
  expect(Object.fromEntries(form)).toEqual({
    grant_type: 'refresh_token',
    refresh_token: 'kept',
    client_id: 'slipway',
    service: 'reg',
    scope: 'repository:team/app:pull',
  })
})

it.for<[what: string, challenge: (self: ScriptedServer) => string, why: RegExp]>([
  [
    'no password is known',
    () => 'Basic realm="x"',
    /demands a password: log in with docker login 127\.0\.0\.1:/,
  ],
  [
    'the way is not known',
    () => 'Negotiate',
    /knows no way to log in that we know: expected Bearer or Basic$/,
  ],
  ['the realm is no web address', () => 'Bearer realm="file:///etc/passwd"', /points to "file:.*": refused$/],
  ['nothing is demanded', () => '', /: 401: log in with docker login$/],
  [
    'the realm refuses',
    self => bearer(self),
    /^token for \S+ from \S+: 401 UNAUTHORIZED: wrong: log in with docker login$/,
  ],
])('says why it is not let in when %s', async ([, challenge, why]) => {
  await using server = await scriptedServer((asked, self) =>
    isRealm(asked)
      ? { ...json({ errors: [{ code: 'UNAUTHORIZED', message: 'wrong' }] }), status: 401 }
      : demand(challenge(self)),
  )

  await expect(tags(client(server))).rejects.toThrow(why)
})

it.for(['{}', '{"token":7}', '{"token":"a\\r\\nb"}', '[]', 'no JSON'])(
  'takes no token from %s',
  async body => {
    await using server = await scriptedServer((asked, self) =>
      isRealm(asked) ? { body } : demand(bearer(self)),
    )

    await expect(tags(client(server))).rejects.toThrow(/answered with no token$/)
  },
)

it('shows a token to nobody that it is redirected to, and goes there', async () => {
  await using other = await scriptedServer(() => listed)
  await using server = await scriptedServer((asked, self) => {
    if (isRealm(asked)) return json({ token: 't' })
    if (!asked.headers.authorization) return demand(bearer(self))
    return { status: 307, headers: { Location: `${other.url}elsewhere` } }
  })

  expect(await tags(client(server, bob))).toEqual(['1'])
  expect(other.asked.map(({ path }) => path)).toEqual(['/elsewhere'])
  expect(authorizations(other)).toEqual([undefined])
})

it('answers no demand of another host that it is redirected to', async () => {
  await using other = await scriptedServer(() => demand('Basic realm="give me"'))
  await using server = await scriptedServer(() => ({ status: 302, headers: { Location: other.url.href } }))

  await expect(tags(client(server, bob))).rejects.toThrow(new RegExp(`at ${other.host}: 401`))
  expect(authorizations(other)).toEqual([undefined])
})

it('follows redirects for a while only', async () => {
  await using server = await scriptedServer(({ path }) => ({
    status: 307,
    headers: { Location: `${path}x` },
  }))

  await expect(tags(client(server))).rejects.toThrow(/redirects more than 5 times$/)
  expect(server.asked).toHaveLength(6)
})

it('says whether a registry is there and lets it in', async () => {
  await using registry = await scriptedServer(({ path }) => (path === '/v2/' ? {} : { status: 404 }))
  await using website = await scriptedServer(() => ({ status: 404 }))

  await expect(client(registry).ping(io)).resolves.toBeUndefined()
  await expect(client(website).ping(io)).rejects.toThrow(`${website.host}: 404`)
})
