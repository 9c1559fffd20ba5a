/** Uploads belong to who began them, and may outlive the token that they began with (auth-security 1.11). */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { apiToken, basic, bearer, forge, password, storedRules, storedUser } from '../helpers/access.ts'
import { type Guarded, guarded } from '../helpers/guarded.ts'
import { digest } from '../helpers/images.ts'
import { repo } from '../helpers/local-registry.ts'
import { name, user } from '../helpers/principals.ts'

const ci = apiToken('robot:ci.a-b_c')
const bytes = Buffer.from('a layer')
let registry: Guarded
beforeAll(async () => {
  registry = await guarded({
    users: [storedUser('alice'), storedUser('bob'), storedUser('carol'), storedUser('ci.a-b_c')],
    robots: [{ name: name('ci.a-b_c'), createdMs: 1 }],
    tokens: [ci.stored],
    rules: storedRules('push team/** alice bob ci.a-b_c robot:ci.a-b_c', 'pull team/** carol'),
  })
})
afterAll(() => registry[Symbol.asyncDispose]())

const alice = basic('alice', password)
const start = async (authorization: string, repository = 'team/app') => {
  const { headers } = await registry.send(`/v2/${repository}/blobs/uploads/`, {
    method: 'POST',
    authorization,
  })
  return String(headers.location)
}
const everything = (location: string) =>
  [
    ['GET', location],
    ['PATCH', location],
    ['PUT', `${location}?digest=${digest(Buffer.from('nothing that is there'))}`],
    ['DELETE', location],
  ] as const

it('knows an upload for who began it, in its repository, and for nobody else', async () => {
  const location = await start(alice)
  const elsewhere = location.replace('team/app', 'team/other')
  const strange = [
    ...everything(location).map(each => [...each, basic('bob', password)] as const),
    ...everything(location).map(each => [...each, basic('x', ci.text)] as const),
    ...everything(elsewhere).map(each => [...each, alice] as const),
  ]
  for (const [method, path, authorization] of strange) {
    const { status, code } = await registry.send(path, {
      method,
      authorization,
      body: method === 'PATCH' ? bytes : '',
    })
    expect([method, status, code]).toEqual([method, 404, 'BLOB_UPLOAD_UNKNOWN'])
  }
  expect((await registry.send(location, { authorization: alice })).status).toBe(204)
})

it('says nothing of an upload to who may not push, or is nobody, and leaves it as it is', async () => {
  const location = await start(alice)
  await registry.send(location, { method: 'PATCH', body: bytes, authorization: alice })
  const missing = location.replace(/[^/]+$/, 'x')
  const others = [undefined, basic('carol', password), basic('alice', 'wrong'), await registry.token('carol')]
  for (const authorization of others)
    for (const [at, [method, path]] of everything(location).entries()) {
      const [, there = ''] = everything(missing)[at] ?? []
      const [own, none] = [
        await registry.send(path, { method, authorization }),
        await registry.send(there, { method, authorization }),
      ]
      expect([401, 403]).toContain(own.status)
      expect([own.status, own.text, own.challenge]).toEqual([none.status, none.text, none.challenge])
    }
  const ours = await registry.send(location, { authorization: alice })
  expect([ours.status, ours.headers.range]).toEqual([204, `0-${bytes.length - 1}`])
})

it('tells a robot from a user of the same name', async () => {
  const location = await start(basic('x', ci.text))
  const sent = await registry.send(location, {
    method: 'PATCH',
    body: bytes,
    authorization: basic('x', ci.text),
  })
  expect(sent.status).toBe(202)
  const asUser = await registry.send(String(sent.headers.location), {
    authorization: basic('ci.a-b_c', password),
  })
  expect(asUser.status).toBe(404)
  const uploads = await registry.store.uploads('robot:ci.a-b_c', { signal: AbortSignal.timeout(1_000) })
  expect(uploads).toHaveLength(1)
})

async function aged(minutes: number, who = 'alice', repository = 'team/app') {
  const tokens = await forge(registry.store, { now: () => Date.now() - minutes * 60_000 })
  const access = [{ type: 'repository' as const, name: repo(repository), actions: ['pull', 'push'] as const }]
  const { token } = await tokens.issue({ subject: user(who), access, credential: `password:${who}:1` })
  return bearer(token)
}

it('takes the rest of an upload by a token that is over for less than an hour', async () => {
  const location = await start(await aged(1))
  const late = await aged(60)
  const sent = await registry.send(location, { method: 'PATCH', body: bytes, authorization: late })
  expect(sent.status).toBe(202)
  const rest = String(sent.headers.location)
  expect((await registry.send(rest, { authorization: late })).status).toBe(204)
  const done = await registry.send(`${rest}?digest=${digest(bytes)}`, { method: 'PUT', authorization: late })
  expect(done.status).toBe(201)
})

it.for([
  ['begin one', 'POST', '/v2/team/app/blobs/uploads/'],
  ['send a blob at once', 'POST', `/v2/team/app/blobs/uploads/?digest=${digest(bytes)}`],
  ['pull', 'GET', '/v2/team/app/tags/list'],
  ['push a manifest', 'PUT', '/v2/team/app/manifests/1'],
  ['go on with what is no upload', 'PATCH', '/v2/team/app/blobs/uploads/x'],
  ['finish what is no upload', 'PUT', `/v2/team/app/blobs/uploads/x?digest=${digest(bytes)}`],
] as const)('does not take it to %s', async ([, method, path]) => {
  const { status, challenge } = await registry.send(path, { method, authorization: await aged(60) })
  expect(status).toBe(401)
  expect(challenge).toContain('error="invalid_token"')
})

it('does not take one that is older, is somebody else’s, is for another repository, or whose holder lost the right', async () => {
  const location = await start(alice)
  for (const authorization of [
    await aged(80),
    await aged(60, 'bob'),
    await aged(60, 'alice', 'team/other'),
  ]) {
    const { status } = await registry.send(location, { method: 'PATCH', body: bytes, authorization })
    expect(status).toBe(401)
  }
  await using other = await guarded(
    { users: [storedUser('alice')], rules: storedRules('push team/** alice') },
    { store: registry.store },
  )
  await other.set({ rules: storedRules('pull team/** alice', 'push team/** bob') })
  expect((await other.send(location, { authorization: await aged(60) })).status).toBe(401)
})
