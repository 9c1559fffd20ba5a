/** A server that is told who may do what: by its settings, by files that they name, and by commands beside it. */
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kill } from 'node:process'
import { hash } from 'bcryptjs'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, expect, it } from 'vitest'
import { basic, bearer } from '../helpers/access.ts'
import { administered } from '../helpers/administered.ts'
import { canary } from '../helpers/canaries.ts'
import { type HttpRequest, send } from '../helpers/http.ts'
import { mediaTypes } from '../helpers/images.ts'
import { describeUnless, needsOwnServer } from '../helpers/obstacles.ts'
import { primaryOf } from '../helpers/processes.ts'
import { type ServerOptions, startServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

const folder = await mkdtemp(join(tmpdir(), 'slipway-who-'))
afterAll(() => rm(folder, { recursive: true }))
const config = join(folder, 'slipway.yaml')

async function configured(yaml: string, options: ServerOptions = {}): Promise<TestServer> {
  await writeFile(config, yaml)
  return startServer({ ...options, args: ['--config', config, ...(options.args ?? [])] })
}

const ofBob = canary('of bob')

const count = ({ log }: TestServer, message: string) => log.filter(line => line.msg === message).length

/** Replaces the settings, and waits for what the log says of that. */
async function retell(server: TestServer, yaml: string, message: 'settings' | 'settings refused') {
  const before = count(server, message)
  await writeFile(config, yaml)
  kill(primaryOf(server), 'SIGHUP')
  await until(message, () => count(server, message) > before)
}

/** What a client does that has logged in: asks, is told where to get a token, gets one, and asks again. */
async function asDockerDoes(
  { address }: TestServer,
  [username, secret]: readonly [username: string, secret: string],
  path: string,
  request: HttpRequest = {},
): Promise<number> {
  const first = await send(address, path, request)
  if (first.status !== 401) return first.status
  const [, realm = '', service = '', scope = ''] =
    /^Bearer realm="([^"]+)",service="([^"]+)"(?:,scope="([^"]+)")?/.exec(first.challenge ?? '') ?? []
  const { origin, pathname } = new URL(realm)
  const query = new URLSearchParams({ account: username, service, ...(scope && { scope }) })
  const issued = await send(origin, `${pathname}?${query}`, { authorization: basic(username, secret) })
  if (issued.status !== 200) return issued.status
  const { token } = JSON.parse(issued.text) as { token: string }
  return (await send(address, path, { ...request, authorization: bearer(token) })).status
}

const index: HttpRequest = {
  method: 'PUT',
  headers: { 'Content-Type': mediaTypes.oci.index },
  body: JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.oci.index, manifests: [] }),
}

describeUnless(needsOwnServer(), 'a server', () => {
  it('lets users of a password file and jobs with tokens of their platform log in', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256')
    const keys = [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' }]
    await writeFile(join(folder, 'keys.json'), JSON.stringify({ keys }))
    await writeFile(join(folder, 'users'), `bob:${await hash(ofBob, 4)}\n`)
    await using server = await configured(
      [
        'login: { htpasswd: users }',
        'workloads:',
        '  build: { issuer: https://ci.example, audience: reg, match: { sub: team-* }, jwks_file: keys.json }',
        'access: [push bobs/** bob, push jobs/** workload:build]',
      ].join('\n'),
    )
    const jwt = (subject: string) =>
      new SignJWT({})
        .setProtectedHeader({ alg: 'ES256', kid: 'k' })
        .setIssuer('https://ci.example')
        .setAudience('reg')
        .setSubject(subject)
        .setIssuedAt()
        .setExpirationTime('5m')
        .sign(privateKey)
    const [ofTeam, ofOthers] = [await jwt('team-a'), await jwt('other')]
    const outcomes = [
      [['bob', ofBob], 'bobs/app', 201],
      [['bob', ofBob], 'jobs/app', 401],
      [['bob', canary('of nobody')], 'bobs/app', 401],
      [['build', ofTeam], 'jobs/app', 201],
      [['build', ofTeam], 'bobs/app', 401],
      [['build', ofOthers], 'jobs/app', 401],
    ] as const
    for (const [who, name, status] of outcomes)
      expect([who[0], name, await asDockerDoes(server, who, `/v2/${name}/manifests/1`, index)]).toEqual([
        who[0],
        name,
        status,
      ])
    await server.stop()
    const audit = await administered(server.data).done('audit')
    for (const line of [
      /user:bob +htpasswd .* login +- +done/,
      /user:bob +htpasswd .* push +bobs\/app:1 +done/,
      /anonymous .* login +user:bob +refused/,
      /workload:build +workload .* push +jobs\/app:1 +done/,
    ])
      expect(audit).toMatch(line)
    expect(audit).not.toMatch(/c4n4ry|of bob|of nobody|eyJ/)
    expect(await administered(server.data).done('audit verify')).toMatch(/^intact/)
  })

  it('takes a rule on SIGHUP at once, and keeps the old ones where one is wrong', async () => {
    await writeFile(join(folder, 'users'), `bob:${await hash(ofBob, 4)}\n`)
    const login = 'login: { htpasswd: users }\n'
    await using server = await configured(`${login}access: [pull ** bob]`)
    const push = () => asDockerDoes(server, ['bob', ofBob], '/v2/team/app/manifests/1', index)
    expect(await push()).toBe(401)
    await retell(server, `${login}access: [push team/** bob]`, 'settings')
    await until('it may be pushed', async () => (await push()) === 201)
    await retell(server, `${login}access: [psuh team/** bob]`, 'settings refused')
    expect(await push()).toBe(201)
    await retell(server, `${login}access: [pull ** bob]`, 'settings')
    await until('it may not be pushed', async () => (await push()) === 401)
  })

  it('writes down what a reload changes, and changes nothing where that cannot be written', async () => {
    const users = join(folder, 'users')
    const ofEve = `eve:${await hash(canary('of eve'), 4)}\n`
    await writeFile(users, `bob:${await hash(ofBob, 4)}\n${ofEve}`)
    const login = 'login: { htpasswd: users }\n'
    await using server = await configured(`${login}access: [pull ** bob, pull ** eve]`)
    const { data, done } = administered(server.data)
    await retell(server, `${login}access: [pull ** bob]\nprotect: [frozen old/**]`, 'settings')
    const reloads = async () =>
      (await done('audit --json'))
        .split('\n')
        .map(line => JSON.parse(line))
        .flatMap(({ action, target, detail }) => (action === 'config.reload' ? [{ target, ...detail }] : []))
    const told = [
      { target: 'access', before: 'pull ** eve' },
      { target: 'protect', after: 'frozen old/**' },
    ]
    expect(await reloads()).toEqual(told)

    const [audit, aside] = [join(data, 'audit'), join(data, 'aside')]
    await rename(audit, aside)
    await writeFile(audit, '')
    await retell(server, `${login}access: [push ** bob]`, 'settings refused')
    const push = () => asDockerDoes(server, ['bob', ofBob], '/v2/team/app/manifests/1', index)
    expect(await push()).toBe(401)
    await writeFile(users, ofEve)
    await until('the log says so', () => server.log.some(({ job }) => job === 'audit'))
    const pull = () => asDockerDoes(server, ['bob', ofBob], '/v2/team/app/tags/list')
    expect(await pull()).toBe(404)
    await rm(audit)
    await rename(aside, audit)
    await until('the file counts', async () => (await pull()) === 401, 30_000)
    expect(await reloads()).toEqual([...told, { target: 'login.htpasswd', before: 'bob' }])
    expect(await done('audit verify')).toMatch(/^intact/)
  }, 60_000)

  it('is open on this machine until somebody is known, and closed at the next request', async () => {
    await using server = await startServer()
    const { done } = administered(server.data)
    expect((await send(server.address, '/v2/')).status).toBe(200)
    const password = await done('user add alice --admin')
    const closed = await send(server.address, '/v2/')
    expect([closed.status, closed.challenge]).toEqual([
      401,
      `Bearer realm="${server.address}/auth/token",service="slipway"`,
    ])
    expect(await asDockerDoes(server, ['alice', password], '/v2/team/app/manifests/1', index)).toBe(201)
    expect((await send(server.address, '/v2/', { authorization: basic('alice', password) })).status).toBe(200)
  })

  it('stays closed where other machines can connect, when the last who was known is gone', async () => {
    const data = await mkdtemp(join(folder, 'data-'))
    const { done } = administered(data)
    await done('user add bob')
    const env = { SLIPWAY_INSECURE: 'true' }
    await using server = await startServer({ data, env, args: ['--listen', '0.0.0.0:0'] })
    expect((await send(server.address, '/v2/')).status).toBe(401)
    await done('user remove bob')
    const { status, challenge } = await send(server.address, '/v2/team/app/manifests/1', index)
    expect([status, challenge]).toEqual([401, expect.stringMatching(/^Bearer /)])
  })

  it('refuses more requests in a minute than are allowed, until it allows more', async () => {
    await using server = await configured('workers: 1\nlimits: { requests_per_minute: 60 }')
    const ask = () => send(server.address, '/v2/_catalog')
    const answers = await Promise.all(Array.from({ length: 80 }, ask))
    const refused = answers.filter(({ status }) => status === 429)
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(60)
    expect(refused.length).toBeGreaterThan(0)
    for (const { code, headers } of refused) {
      expect(code).toBe('TOOMANYREQUESTS')
      expect(Number(headers['retry-after'])).toBeGreaterThan(0)
    }
    await retell(server, 'workers: 1\nlimits: { requests_per_minute: off }', 'settings')
    await until('more are allowed', async () => (await ask()).status === 200)
    const more = await Promise.all(Array.from({ length: 80 }, ask))
    expect(new Set(more.map(({ status }) => status))).toEqual(new Set([200]))
  })
})
