/** What answers tell who may not: nothing (auth-security 3.3, rows 18, 20, 41, 44). */
import { performance } from 'node:perf_hooks'
import { expect, it } from 'vitest'
import { RegistryError } from '../../oci/errors.ts'
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
import type { HttpRequest } from '../helpers/http.ts'
import { image } from '../helpers/images.ts'
import { pushImage, repo, tag } from '../helpers/local-registry.ts'
import { ask } from '../helpers/requests.ts'

const made = image({ seed: 'secret', layers: [100] })
const robot = apiToken('robot:ci')
const people = {
  users: [storedUser('alice'), storedUser('bob')],
  robots: [],
  tokens: [robot.stored],
  rules: storedRules('push secret/** alice', 'pull open alice bob'),
}

async function withSecret(): Promise<Guarded> {
  const registry = await guarded(people)
  await pushImage(registry.registry, made, tag('v1'), repo('secret/aaaa'))
  return registry
}

const requests: readonly (readonly [string, string])[] = [
  ['GET', 'manifests/v1'],
  ['HEAD', 'manifests/v1'],
  ['GET', `manifests/${made.descriptor.digest}`],
  ['PUT', 'manifests/v1'],
  ['DELETE', 'manifests/v1'],
  ['GET', `blobs/${made.blobs[0]?.descriptor.digest}`],
  ['HEAD', `blobs/${made.blobs[0]?.descriptor.digest}`],
  ['DELETE', `blobs/${made.blobs[0]?.descriptor.digest}`],
  ['POST', 'blobs/uploads/'],
  ['POST', `blobs/uploads/?mount=${made.blobs[0]?.descriptor.digest}&from=open`],
  ['GET', 'blobs/uploads/x'],
  ['PATCH', 'blobs/uploads/x'],
  ['GET', 'tags/list'],
  ['GET', `referrers/${made.descriptor.digest}`],
]

it('answers byte for byte the same for what is there and what is not', async () => {
  await using registry = await withSecret()
  const credentials = [
    undefined,
    basic('bob', password),
    basic('bob', 'wrong'),
    await registry.token(undefined, 'repository:secret/aaaa:pull', 'repository:secret/zzzz:pull'),
    await registry.token('bob', 'repository:secret/aaaa:pull', 'repository:secret/zzzz:pull'),
    await registry.token('bob', 'repository:open:pull'),
    bearer('not.a.token'),
  ]
  for (const authorization of credentials)
    for (const [method, path] of requests) {
      const answer = async (repository: string) => {
        const { status, headers, body } = await ask(registry.port, {
          method,
          target: `/v2/${repository}/${path}`,
          headers: authorization === undefined ? [] : [`Authorization: ${authorization}`],
        })
        const { date: _, 'x-request-id': __, ...rest } = headers
        return JSON.stringify([status, Object.entries(rest), body.toString()]).replaceAll(
          repository,
          'REPOSITORY',
        )
      }
      const [there, missing] = [await answer('secret/aaaa'), await answer('secret/zzzz')]
      expect(there).toBe(missing)
      expect(there).toMatch(/^\[40[13],/)
    }
})

it('takes one Authorization header', async () => {
  await using registry = await withSecret()
  const headers = [`Authorization: ${basic('bob', password)}`, `Authorization: ${basic('alice', password)}`]
  expect((await ask(registry.port, { target: '/v2/', headers })).status).toBe(400)
})

it('hashes for a name that nobody has as for one that somebody has', async () => {
  await using registry = await withSecret()
  const answers = await Promise.all(
    ['alice', 'nobody', 'Not a name', ''].map(each =>
      registry.send('/v2/open/tags/list', { authorization: basic(each, 'wrong') }),
    ),
  )
  for (const { status, text, challenge } of answers)
    expect([status, text, challenge]).toEqual([401, answers[0]?.text, answers[0]?.challenge])
  const startedMs = performance.now()
  await registry.send('/v2/', { authorization: basic('another', 'wrong') })
  expect(performance.now() - startedMs).toBeGreaterThan(5)
})

it('slows down who guesses, and nobody who knows', async () => {
  await using registry = await withSecret()
  const known = await registry.as('alice', '/v2/')
  expect(known.status).toBe(200)
  const guesses = await Promise.all(
    Array.from({ length: 30 }, (_, at) =>
      registry.send('/v2/', { authorization: basic('alice', `guess ${at}`) }),
    ),
  )
  const refused = guesses.filter(({ status }) => status === 429)
  expect(refused).toHaveLength(20)
  for (const { code, headers } of refused) {
    expect(code).toBe('TOOMANYREQUESTS')
    expect(Number(headers['retry-after'])).toBeGreaterThan(0)
  }
  const realm = await registry.send('/auth/token', { authorization: basic('alice', 'guess 99') })
  expect([realm.status, Number(realm.headers['retry-after']) > 0]).toEqual([429, true])
  expect((await registry.as('alice', '/v2/')).status).toBe(200)
})

it('is busy rather than slow for all when too many passwords come at once', async () => {
  await using registry = await withSecret()
  const answers = await Promise.all(
    Array.from({ length: 90 }, (_, at) => registry.send('/v2/', { authorization: basic(`name${at}`, 'x') })),
  )
  const busy = answers.filter(({ status }) => status === 503)
  expect(busy.length).toBeGreaterThan(0)
  for (const { headers, code } of busy) expect([headers['retry-after'], code]).toEqual(['2', 'UNAVAILABLE'])
  for (const { status } of answers) expect([401, 503]).toContain(status)
})

it('says when the keys of an issuer cannot be had', async () => {
  const silent = new RegistryError('ISSUER_UNAVAILABLE', {
    cause: new Error('no route'),
    headers: { 'Retry-After': '5' },
  })
  const workloads = () => ({ ...someWorkloads, verify: () => Promise.reject(silent) })
  await using registry = await guarded(people, { workloads })
  const authorization = basic('oidc', 'workload.gha.x')
  for (const path of ['/v2/', '/auth/token?scope=repository:open:pull']) {
    const { status, code, headers, text } = await registry.send(path, { authorization })
    expect([status, code, headers['retry-after']]).toEqual([503, 'UNAVAILABLE', '5'])
    expect(text).not.toContain('no route')
  }
})

it('limits what one asks for, each for itself, and no layer that everybody pulls', async () => {
  const others = ['bob', 'carol', 'dave', 'erin', 'frank']
  const rates = {
    manifests: { perMinute: 60, burst: 3 },
    blobs: { perMinute: 1, burst: 3 },
    tokens: { perMinute: 60, burst: 3 },
  }
  await using registry = await guarded(
    {
      users: ['alice', ...others].map(each => storedUser(each)),
      rules: storedRules('pull ** anyone signed-in'),
    },
    { rates: () => rates },
  )
  await pushImage(registry.registry, made, tag('v1'), repo('open'))
  const statuses = async (count: number, path: string, request: HttpRequest) =>
    (await Promise.all(Array.from({ length: count }, () => registry.send(path, request)))).map(
      ({ status }) => status,
    )
  const alice = { authorization: basic('alice', password) }
  await registry.as('alice', '/v2/')
  expect((await statuses(5, '/v2/open/tags/list', alice)).toSorted()).toEqual([200, 200, 200, 429, 429])
  expect((await registry.as('bob', '/v2/open/tags/list')).status).toBe(200)
  const refused = await registry.send('/v2/open/tags/list', alice)
  expect([refused.status, refused.code, refused.headers['retry-after']]).toEqual([
    429,
    'TOOMANYREQUESTS',
    '1',
  ])
  const [config, layer] = made.blobs.map(({ descriptor }) => `/v2/open/blobs/${descriptor.digest}`)
  expect((await statuses(10, layer ?? '', alice)).filter(status => status === 200)).toHaveLength(3)
  for (const other of others) expect((await registry.as(other, layer ?? '')).status).toBe(200)
  expect(new Set(await statuses(10, layer ?? '', alice))).toEqual(new Set([200]))
  expect((await statuses(1, config ?? '', alice))[0]).toBe(429)
  expect((await statuses(5, '/auth/token?scope=repository:open:pull', {})).toSorted()).toEqual([
    200, 200, 200, 429, 429,
  ])
  expect((await statuses(5, '/v2/open/manifests/v1', {})).filter(status => status === 429)).toHaveLength(2)
})

it('writes who asked into the log, and no secret', async () => {
  await using registry = await withSecret()
  const authorization = await registry.token('alice', 'repository:secret/aaaa:pull')
  await registry.send('/v2/secret/aaaa/manifests/v1', { authorization })
  await registry.as('bob', '/v2/secret/aaaa/manifests/v1')
  await registry.send('/v2/', { authorization: basic('alice', 'a wrong secret') })
  await registry.send('/v2/', { authorization: basic('ci', robot.text) })
  await registry.send('/v2/', { authorization: `Bearer ${robot.text}` })
  await registry.send('/auth/token', {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ grant_type: 'password', username: 'bob', password }).toString(),
  })
  const requests = registry.observations.flatMap(each => (each.event === 'request' ? [each] : []))
  expect(requests.map(({ who, by }) => `${who} by ${by}`)).toEqual([
    'user:alice by password',
    'user:alice by issued',
    'user:bob by password',
    'anonymous by nothing',
    'anonymous by nothing',
    'anonymous by nothing',
    'user:bob by password',
  ])
  const all = registry.observations
    .map(each => JSON.stringify({ ...each, error: 'error' in each ? String(each.error) : '' }))
    .join('\n')
  for (const secret of [
    password,
    encodeURIComponent(password),
    robot.text,
    'a wrong secret',
    authorization.slice(7),
    'Basic ',
  ])
    expect(all).not.toContain(secret)
})
