/** Lists over what may be seen and what may not: no name, no count and no gap of the rest. */
import { expect, it } from 'vitest'
import { memoryStore } from '../../storage/memory.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { storedRules, storedUser } from '../helpers/access.ts'
import { type Guarded, guarded } from '../helpers/guarded.ts'
import type { HttpAnswer } from '../helpers/http.ts'
import { artifact, image } from '../helpers/images.ts'
import { pushBlob, pushImage, repo } from '../helpers/local-registry.ts'
import { randomFrom } from '../helpers/random.ts'

const names = [
  'a',
  'alice',
  'alice/app',
  'alice-2/app',
  'alice/app/deep',
  'bob/app',
  'open',
  'open/1',
  'open/2',
  'open/2/x',
  'open-not',
  'public/tools',
  'secret/1',
  'secret/2',
  'team/app',
  'team/app-2',
  'team/app/x',
  'team-b/app',
  'teams',
  'z/z',
]
const rules = [
  'pull public/** anyone',
  'pull open anyone',
  'pull open/* alice',
  'push {user}/** alice bob',
  'pull team/app bob',
  'pull */app carol',
  'admin ** root',
]
const seen: Readonly<Record<string, readonly string[]>> = {
  alice: ['alice/app', 'alice/app/deep', 'open', 'open/1', 'open/2', 'public/tools'],
  bob: ['bob/app', 'open', 'public/tools', 'team/app'],
  carol: ['alice/app', 'alice-2/app', 'bob/app', 'open', 'public/tools', 'team/app', 'team-b/app'],
  root: names,
}
const keyed = (all: readonly string[]) =>
  all.toSorted((a, b) => (a.replaceAll('/', '!') < b.replaceAll('/', '!') ? -1 : 1))

async function filled(lines = rules, store = memoryStore()): Promise<Guarded> {
  const state = {
    users: Object.keys(seen).map(each => storedUser(each)),
    rules: storedRules(...lines),
  }
  const registry = await guarded(state, { store })
  for (const each of names) await pushBlob(registry.registry, Buffer.from(each), repo(each))
  return registry
}

const repositoriesIn = ({ text }: HttpAnswer) =>
  (JSON.parse(text) as { repositories: readonly string[] }).repositories

async function pagesOf(registry: Guarded, who: string | undefined, limit: number, authorization?: string) {
  const pages: (readonly string[])[] = []
  let path: string | undefined = `/v2/_catalog?n=${limit}`
  while (path !== undefined) {
    const answer: HttpAnswer = await (authorization
      ? registry.send(path, { authorization })
      : registry.as(who, path))
    expect(answer.status).toBe(200)
    pages.push(repositoriesIn(answer))
    path = /^<([^>]*)>; rel="next"$/.exec(String(answer.headers.link ?? ''))?.[1]
  }
  return pages
}

it('pages through what each may see, in whole pages', async () => {
  await using registry = await filled()
  for (const [who, visible] of Object.entries(seen))
    for (const limit of [1, 2, 3, 100]) {
      const pages = await pagesOf(registry, who, limit)
      expect(pages.flat()).toEqual(keyed(visible))
      for (const page of pages.slice(0, -1)) expect(page).toHaveLength(limit)
    }
})

it('shows the holder of a token for the catalog the same, and of another nothing', async () => {
  await using registry = await filled()
  const catalog = await registry.token('bob', 'registry:catalog:*')
  expect((await pagesOf(registry, undefined, 2, catalog)).flat()).toEqual(keyed(seen.bob ?? []))
  const anybody = await registry.token(undefined, 'registry:catalog:*')
  expect((await pagesOf(registry, undefined, 1, anybody)).flat()).toEqual(['open', 'public/tools'])
  const authorization = await registry.token('bob', 'repository:team/app:pull')
  const refused = await registry.send('/v2/_catalog', { authorization })
  expect(refused.status).toBe(401)
  expect(refused.challenge).toContain(',scope="registry:catalog:*",error="insufficient_scope"')
  expect((await registry.send('/v2/_catalog')).challenge).toMatch(/,scope="registry:catalog:\*"$/)
})

it('goes on after a name that is hidden, or that is not there', async () => {
  await using registry = await filled()
  for (const after of [
    '',
    'a',
    'alice/app',
    'open/1',
    'secret/1',
    'secret',
    'team',
    'zz',
    '~',
    '%2F',
    'open%2F',
  ]) {
    const answer = await registry.as('alice', `/v2/_catalog?last=${after}`)
    const decoded = decodeURIComponent(after).replaceAll('/', '!')
    expect(repositoriesIn(answer)).toEqual(
      keyed(seen.alice ?? []).filter(each => each.replaceAll('/', '!') > decoded),
    )
  }
})

it('shows what the rules permit, whatever they are', async () => {
  await using registry = await filled()
  const { oneOf } = randomFrom(28)
  const patterns: readonly [string, ...string[]] = [
    '**',
    '*',
    '*/*',
    'team/**',
    'team*',
    'open/**',
    'open',
    'open/2',
    '{user}/**',
    '{user}',
    '*/app',
    '**/x',
    'a*/**',
    'team/app',
  ]
  const lines = () =>
    Array.from({ length: 3 }, () => `pull ${oneOf(patterns)} ${oneOf(['alice', 'bob', 'anyone'])}`)
  for (let round = 0; round < 60; round++) {
    await registry.set({ rules: storedRules(...lines()) })
    const tags = await Promise.all(
      names.map(async each => ({
        each,
        status: (await registry.as('alice', `/v2/${each}/tags/list`)).status,
      })),
    )
    const permitted = tags.filter(({ status }) => status === 200).map(({ each }) => each)
    expect((await pagesOf(registry, 'alice', 4)).flat()).toEqual(keyed(permitted))
  }
})

it('searches and counts only what may be seen', async () => {
  await using registry = await filled()
  const search = async (who: string | undefined, query: string) =>
    JSON.parse((await registry.as(who, `/v1/search?${query}`)).text) as {
      num_results: number
      num_pages: number
      results: readonly { name: string }[]
    }
  expect(await search('alice', 'q=app&n=1')).toMatchObject({ num_results: 2, num_pages: 2 })
  expect(await search(undefined, 'q=')).toMatchObject({ num_results: 2 })
  expect((await search('bob', 'q=team')).results.map(each => each.name)).toEqual(['team/app'])
  expect((await registry.send('/v1/search?q=', { authorization: 'Basic !' })).status).toBe(401)
})

it('shows tags and referrers to who may pull, and to others the same as where there is nothing', async () => {
  await using registry = await filled()
  const made = image({ seed: 'listed', layers: [10] })
  await pushImage(registry.registry, made, made.descriptor.digest, repo('secret/1'))
  await pushImage(registry.registry, artifact(made, 'a/b', 'hello'), undefined, repo('secret/1'))
  for (const path of ['tags/list', `referrers/${made.descriptor.digest}`]) {
    const [there, missing] = [`/v2/secret/1/${path}`, `/v2/secret/9/${path}`]
    const bytes = async (who: string | undefined, of: string) => {
      const { status, text } = await registry.as(who, of)
      return [status, text.replaceAll('secret/9', 'secret/1')]
    }
    expect(await bytes('bob', there)).toEqual(await bytes('bob', missing))
    expect(await bytes(undefined, there)).toEqual(await bytes(undefined, missing))
    expect((await registry.as('root', there)).status).toBe(200)
  }
})

it('reads no more of the names than can be seen', async () => {
  const listed: string[] = []
  const kept = memoryStore()
  const store: ObjectStore = {
    ...kept,
    list(prefix, options) {
      listed.push(options.after ?? '')
      return kept.list(prefix, options)
    },
  }
  await using registry = await filled(rules, store)
  await registry.as('bob', '/v2/_catalog')
  // One for each beginning that a rule names: public/, open, bob/, team/app.
  expect(listed).toHaveLength(4)
})
