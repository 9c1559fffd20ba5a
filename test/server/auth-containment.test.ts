/**
 * Nobody hands out more than they have (auth-security 2.4; 3.3, row 27): whatever an API token says, and whatever was
 * issued for it, is worth no more than its owner is at that moment; and nothing that can be asked changes who may do what.
 */
import { expect, it } from 'vitest'
import { accessKey, journalPrefix } from '../../storage/layout.ts'
import { memoryStore } from '../../storage/memory.ts'
import { everyKey } from '../../storage/pages.ts'
import { apiToken, basic, password, setAccess, storedRules, storedUser } from '../helpers/access.ts'
import { guarded } from '../helpers/guarded.ts'
import { type HttpRequest, send } from '../helpers/http.ts'
import { digest } from '../helpers/images.ts'
import { name } from '../helpers/principals.ts'
import { randomFrom } from '../helpers/random.ts'
import { io } from '../helpers/waiting.ts'
import { requestsFor } from './auth-matrix.ts'

const repositories = ['team/app', 'team/app/x', 'alice/app', 'other'] as const
const actions = ['pull', 'push', 'delete'] as const

/** What asks for each action, where nothing is: who may learns that, who may not is refused. */
const asks = {
  pull: ['GET', 'tags/list'],
  push: ['POST', 'blobs/uploads/'],
  delete: ['DELETE', 'manifests/none'],
} as const

const { oneOf, several } = randomFrom(Number(process.env.SEED ?? 27))
const levels = ['pull', 'push', 'delete', 'admin'] as const
const patterns = ['**', 'team/**', 'team/app', '*/app', 'alice/**'] as const
/** What each pattern matches, written down by hand. */
const matched: Readonly<Record<(typeof patterns)[number], readonly string[]>> = {
  '**': repositories,
  'team/**': ['team/app', 'team/app/x'],
  'team/app': ['team/app'],
  '*/app': ['team/app', 'alice/app'],
  'alice/**': ['alice/app'],
}
const line = () => ({ level: oneOf(levels), pattern: oneOf(patterns) })
type Line = ReturnType<typeof line>

const covers = (lines: readonly Line[], action: (typeof actions)[number], repository: string) =>
  lines.some(
    ({ level, pattern }) =>
      levels.indexOf(level) >= levels.indexOf(action) && matched[pattern].includes(repository),
  )
const everything = repositories.flatMap(repository => actions.map(action => ({ repository, action })))
const rulesFor = (who: string, lines: readonly Line[]) =>
  storedRules('pull nothing root', ...lines.map(({ level, pattern }) => `${level} ${pattern} ${who}`))

it.for([
  ['a user', 'user:alice', 'alice'],
  ['a robot', 'robot:ci', 'robot:ci'],
] as const)('gives a token of %s what its owner has and its ceiling leaves', async ([, owner, who]) => {
  const rounds = Array.from({ length: 12 }, () => ({
    before: several(2, line),
    after: several(2, line),
    ceiling: several(2, line),
  }))
  for (const { before, after, ceiling } of rounds) {
    const narrow = apiToken(owner, { ceiling: ceiling.map(({ level, pattern }) => `${level} ${pattern}`) })
    const wide = apiToken(owner)
    await using registry = await guarded({
      users: [storedUser('alice'), storedUser('root')],
      robots: [{ name: name('ci'), createdMs: 1 }],
      tokens: [narrow.stored, wide.stored],
      rules: rulesFor(who, before),
    })
    const issuedFor = async (text: string) => {
      const query = new URLSearchParams(repositories.map(each => ['scope', `repository:${each}:*`]))
      const answer = await registry.send(`/auth/token?${query}`, { authorization: basic('x', text) })
      return `Bearer ${(JSON.parse(answer.text) as { token: string }).token}`
    }
    const shown = {
      narrow: { by: basic('x', narrow.text), issued: await issuedFor(narrow.text), limit: ceiling },
      wide: { by: basic('x', wide.text), issued: await issuedFor(wide.text), limit: undefined },
    }
    const may = async (authorization: string) => {
      const answers = everything.map(async ({ repository, action }) => {
        const [method, path] = asks[action]
        const { status } = await registry.send(`/v2/${repository}/${path}`, { method, authorization })
        expect([202, 404, 401, 403]).toContain(status)
        return status === 202 || status === 404 ? [`${action} ${repository}`] : []
      })
      return (await Promise.all(answers)).flat()
    }
    const due = (lines: readonly (readonly Line[])[]) =>
      everything
        .filter(({ action, repository }) => lines.every(each => covers(each, action, repository)))
        .map(({ action, repository }) => `${action} ${repository}`)
    for (const [now, first] of [
      [before, before],
      [after, before],
    ] as const) {
      await registry.set({ rules: rulesFor(who, now) })
      if (who === 'alice') expect(await may(basic('alice', password))).toEqual(due([now]))
      for (const { by, issued, limit = [] } of Object.values(shown)) {
        const most = limit.length > 0 ? [limit] : []
        expect(await may(by)).toEqual(due([now, ...most]))
        // What was issued before never grows.
        expect(await may(issued)).toEqual(due([now, first, ...most]))
      }
    }
  }
})

const bytesOf = (text: string) => ({ bytes: Buffer.from(text), digest: digest(Buffer.from(text)) })
const index = (text: string) =>
  bytesOf(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [],
      annotations: { text, groups: 'administrators', rule: 'admin ** mallory' },
    }),
  )
const requests = requestsFor({
  blob: bytesOf('blob'),
  other: bytesOf('other'),
  first: index('first'),
  second: index('second'),
})

/** What somebody would add who hopes that it is written down. */
const hopes = [
  ['isAdministrator', 'true'],
  ['groups', 'administrators'],
  ['groups[]', 'administrators'],
  ['access', '[{"type":"repository","name":"other","actions":["pull"]}]'],
  ['ceiling', 'admin **'],
  ['sub', 'user:root'],
  ['owner', 'user:root'],
  ['level', 'admin'],
  ['__proto__[level]', 'admin'],
] as const

it('changes nothing of who may do what, whatever is asked and whoever asks', async () => {
  const mallory = apiToken('user:mallory')
  const store = memoryStore()
  await setAccess(store, {
    users: [storedUser('root', { groups: [name('administrators')] }), storedUser('mallory')],
    tokens: [mallory.stored],
    rules: storedRules('push team/** mallory'),
  })
  await using registry = await guarded({}, { store })
  const kept = async () => {
    const records = await Promise.all(
      [accessKey('access'), accessKey('keys')].map(key => store.read(key, io)),
    )
    return records.map(record => record?.bytes.toString())
  }
  const ask = (path: string, request: HttpRequest) => send(registry.address, path, request)
  await ask('/auth/token?scope=repository:a:pull', {})
  const before = await kept()
  const hoped = new URLSearchParams(hopes.map(([key, value]) => [key, value])).toString()
  const people = [basic('root', password), basic('mallory', password), basic('x', mallory.text), undefined]
  const ways = [
    'secret',
    'secret/access',
    'audit',
    'access',
    'secret/keys',
    'team/app',
    'a/..',
    'audit/0000000001',
  ]
  const statuses = new Set<number>()
  for (const authorization of people) {
    for (const repository of ways)
      for (const { method, path, body, type } of requests) {
        const target = `/v2/${repository}/${path}${path.includes('?') ? '&' : '?'}${hoped}`
        const headers = { 'X-Groups': 'administrators', ...(type && { 'Content-Type': type }) }
        const { status } = await ask(target, { method, authorization, headers, ...(body && { body }) })
        statuses.add(status)
      }
    for (const path of ['/access', '/api/access/rules', '/api/me/tokens', '/v2/_access', '/secret/access'])
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])
        statuses.add((await ask(path, { method, authorization, body: '{}' })).status)
  }
  expect(await kept()).toEqual(before)
  // That there was something to refuse and something to do.
  for (const status of [201, 202, 401, 403, 404]) expect(statuses).toContain(status)
  expect(Math.max(...statuses)).toBeLessThan(500)
  for await (const keys of everyKey(store, journalPrefix, io))
    for (const key of keys)
      expect((await store.read(key, io))?.bytes.toString()).not.toMatch(/"(rule|user|robot|token|key)\./)
})

it('issues no more for what is added to a request', async () => {
  await using registry = await guarded({
    users: [storedUser('root', { groups: [name('administrators')] }), storedUser('mallory')],
    rules: storedRules('pull team/** mallory'),
  })
  const scope = 'repository:team/app:* repository:other:* registry:catalog:*'
  const claims = (text: string) => {
    const [, body = ''] = (JSON.parse(text) as { token: string }).token.split('.')
    const { sub, access, cid } = JSON.parse(Buffer.from(body, 'base64url').toString())
    return { sub, access, cid }
  }
  const plain = claims((await registry.as('mallory', `/auth/token?${new URLSearchParams({ scope })}`)).text)
  expect(plain).toEqual({
    sub: 'user:mallory',
    cid: 'password:mallory:1',
    access: [
      { type: 'repository', name: 'team/app', actions: ['pull'] },
      { type: 'registry', name: 'catalog', actions: ['*'] },
    ],
  })
  for (const [key, value] of [...hopes, ['account', 'root'], ['client_id', 'root'], ['actor', 'user:root']]) {
    const query = new URLSearchParams({ scope, [key ?? '']: value ?? '' })
    expect(claims((await registry.as('mallory', `/auth/token?${query}`)).text)).toEqual(plain)
    const form = new URLSearchParams({
      grant_type: 'password',
      username: 'mallory',
      password,
      scope,
      [key ?? '']: value ?? '',
    })
    const answer = await registry.send('/auth/token', {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: form.toString(),
    })
    expect(claims(answer.text)).toEqual(plain)
  }
})
