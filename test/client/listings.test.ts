import { expect, it } from 'vitest'
import { registryClient } from '../../client/registry-client.ts'
import { app, json, type Reply, scriptedServer } from '../helpers/scripted-server.ts'
import { io } from '../helpers/waiting.ts'

const client = (host: string) => registryClient(host, { credentials: async () => undefined })
const tags = async (host: string) => (await Array.fromAsync(client(host).repository(app).tags(io))).flat()

it('follows the pages to the end', async () => {
  const pages: Readonly<Record<string, Reply>> = {
    '/v2/_catalog': json(
      { repositories: ['a', 'b/c'] },
      { Link: '</v2/_catalog?n=2&last=b%2Fc>; rel="next"' },
    ),
    '/v2/_catalog?n=2&last=b%2Fc': json(
      { repositories: ['d'] },
      { Link: '<x>; rel="prev", <last>; rel=next' },
    ),
    '/v2/last': json({ repositories: null }),
  }
  await using server = await scriptedServer(({ path }) => pages[path] ?? { status: 404 })

  expect(await Array.fromAsync(client(server.host).repositories(io))).toEqual([['a', 'b/c'], ['d'], []])
})

it('gives up on pages that lead in a circle', async () => {
  await using server = await scriptedServer(({ path }) =>
    json({ tags: ['1'] }, { Link: `<${path.endsWith('2') ? '?1' : '?2'}>; rel="next"` }),
  )

  await expect(tags(server.host)).rejects.toThrow(/the pages lead in a circle or do not end: gave up$/)
  expect(server.asked).toHaveLength(3)
})

it('asks no other host for the next page', async () => {
  await using other = await scriptedServer(() => json({ tags: [] }))
  await using server = await scriptedServer(() => json({ tags: [] }, { Link: `<${other.url}>; rel="next"` }))

  await expect(tags(server.host)).rejects.toThrow(`continues its list at ${other.host}: refused`)
  expect(other.asked).toEqual([])
})

it.for<[what: string, reply: Reply, why: RegExp]>([
  ['no JSON', { body: 'hello' }, /^tags of \S+: the answer is no JSON object$/],
  ['no list', json({ tags: 'latest' }), /: the answer is no list$/],
  ['tags that are none', json({ tags: ['ok', '../x'] }), /: invalid tag "\.\.\/x"/],
  ['17 MiB', { body: Buffer.alloc(17 * 2 ** 20, ' ') }, /is longer than 16777216 bytes: refused$/],
  [
    'an error',
    { ...json({ errors: [{ code: 'NAME_UNKNOWN', message: 'no\nsuch\u001b[31m name' }] }), status: 404 },
    /^tags of \S+: 404 NAME_UNKNOWN: no such \[31m name$/,
  ],
  ['an error without words', { status: 500, body: '<html>' }, /^tags of \S+: 500$/],
  [
    'too many requests',
    { ...json({ errors: [{ code: 'TOOMANYREQUESTS' }] }), status: 429, headers: { 'Retry-After': '30' } },
    /: 429 TOOMANYREQUESTS: try again in 30 s$/,
  ],
])('refuses in one line a list that is %s', async ([, reply, why]) => {
  await using server = await scriptedServer(() => reply)

  await expect(tags(server.host)).rejects.toThrow(why)
})
