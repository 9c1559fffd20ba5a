/**
 * The worked example of the access model (auth-security 2.8), row by row, by the settings that it is about (2.3), as
 * far as there are such settings: groups have members here, not claims of an identity provider.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kill } from 'node:process'
import { hash } from 'bcryptjs'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { basic, bearer } from '../helpers/access.ts'
import { canary } from '../helpers/canaries.ts'
import { clockAt } from '../helpers/clock.ts'
import { type HttpAnswer, type HttpRequest, send } from '../helpers/http.ts'
import { mediaTypes } from '../helpers/images.ts'
import { primaryOf } from '../helpers/processes.ts'
import { slipway } from '../helpers/program.ts'
import { startServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

const settings = (teamA: string) => `
url: https://reg.acme.dev
login:
  htpasswd: users
groups:
  platform: [alice]
  team-a:   [${teamA}]
access:
  - pull   public/**      anyone
  - pull   **             signed-in
  - push   team-a/**      @team-a robot:ci-team-a workload:gha-team-a
  - delete team-a/**      bob
  - push   {user}/**      signed-in
  - admin  **             @platform
  - { rule: "push sandbox/** erin", until: 2026-12-31, note: "contractor" }
protect:
  - immutable  **:v*
  - immutable  prod/**:*
  - no-delete  release/**
workloads:
  gha-team-a:
    issuer: https://token.actions.githubusercontent.com
    audience: reg.acme.dev
    match: { repository_owner_id: "4242", repository: "acme/team-a-*", ref: "refs/heads/main", event_name: push }
    jwks_file: keys.json
tokens: { max_ttl: 365d, default_ttl: 90d }
`

const thisYearMs = Date.UTC(2026, 10, 21, 12)
const newYearMs = Date.UTC(2027, 0, 1)

const people = ['alice', 'bob', 'carol', 'dave', 'erin'] as const
const passwordOf = (name: string) => canary(`of ${name}`)
let folder: string
let server: TestServer
let job: (ref: string) => Promise<string>
let robot: string

const start = (ms: number) =>
  startServer({ args: ['--config', join(folder, 'slipway.yaml')], env: clockAt(ms) })

const isOurs = process.env.TEST_REGISTRY === undefined

describe.skipIf(!isOurs)('in the worked example', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slipway-example-'))
    const { publicKey, privateKey } = await generateKeyPair('ES256')
    const keys = [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' }]
    const users = await Promise.all(people.map(async name => `${name}:${await hash(passwordOf(name), 4)}`))
    await writeFile(join(folder, 'keys.json'), JSON.stringify({ keys }))
    await writeFile(join(folder, 'users'), `${users.join('\n')}\n`)
    await writeFile(join(folder, 'slipway.yaml'), settings('bob, carol'))
    job = ref =>
      new SignJWT({
        repository_owner_id: '4242',
        repository: 'acme/team-a-api',
        ref,
        event_name: 'push',
      })
        .setProtectedHeader({ alg: 'ES256', kid: 'k' })
        .setIssuer('https://token.actions.githubusercontent.com')
        .setAudience('reg.acme.dev')
        .setSubject('repo:acme/team-a-api')
        .setIssuedAt(thisYearMs / 1000)
        .setExpirationTime(thisYearMs / 1000 + 600)
        .sign(privateKey)
    server = await start(thisYearMs)
    await done('robot', 'add', 'ci-team-a')
    robot = await done('token', 'create', '--robot', 'ci-team-a')
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
  })

  it('anonymous has pull on public/tools, and nothing on team-a/api', async () => {
    expect(await levelOf(undefined, 'public/tools')).toBe('pull')
    expect(await levelOf(undefined, 'team-a/api')).toBe('none')
    const { status, challenge } = await send(server.address, '/v2/team-a/api/tags/list')
    expect([status, challenge]).toEqual([
      401,
      'Bearer realm="https://reg.acme.dev/auth/token",service="reg.acme.dev",scope="repository:team-a/api:pull"',
    ])
  })

  it('dave, who is signed in and in no group, has pull on team-a/api', async () => {
    expect(await levelOf(byName('dave'), 'team-a/api')).toBe('pull')
  })

  it('dave has push on dave/scratch, and pull on bob/scratch', async () => {
    expect(await levelOf(byName('dave'), 'dave/scratch')).toBe('push')
    expect(await levelOf(byName('dave'), 'bob/scratch')).toBe('pull')
  })

  it('bob has delete on team-a/api, and carol, who is only in the group, push', async () => {
    expect(await levelOf(byName('bob'), 'team-a/api')).toBe('delete')
    expect(await levelOf(byName('carol'), 'team-a/api')).toBe('push')
  })

  it('bob’s token with the ceiling "pull team-a/api" has pull there, and nothing on team-a/web', async () => {
    const token = await done('token', 'create', '--user', 'bob', '--pull', 'team-a/api')
    expect(await levelOf(['bob', token], 'team-a/api')).toBe('pull')
    expect(await levelOf(['bob', token], 'team-a/web')).toBe('none')
    expect(await levelOf(['bob', token], 'bob/scratch')).toBe('none')
  })

  it('robot:ci-team-a has push on team-a/api, and nothing on team-b/x: robots are not signed in', async () => {
    expect(await levelOf(['ci-team-a', robot], 'team-a/api')).toBe('push')
    expect(await levelOf(['ci-team-a', robot], 'team-b/x')).toBe('none')
    expect(await levelOf(['ci-team-a', robot], 'ci-team-a/x')).toBe('none')
  })

  it('the workload gha-team-a is nobody from refs/heads/dev, and has push on team-a/api from refs/heads/main', async () => {
    const [main, dev] = [await job('refs/heads/main'), await job('refs/heads/dev')]
    expect(await levelOf(['oidc', main], 'team-a/api')).toBe('push')
    expect(await levelOf(['oidc', main], 'team-b/x')).toBe('none')
    for (const path of ['/v2/', '/auth/token?scope=repository:team-a/api:pull', '/v2/public/tools/tags/list'])
      expect((await send(server.address, path, { authorization: basic('oidc', dev) })).status).toBe(401)
  })

  it('alice, who administers, cannot move prod/web:1.2: "immutable prod/**:*" binds her too', async () => {
    const path = '/v2/prod/web/manifests/1.2'
    expect(await levelOf(byName('alice'), 'prod/web')).toBe('delete')
    expect((await as(byName('alice'), path, index('first'))).status).toBe(201)
    const moved = await as(byName('alice'), path, index('second'))
    expect([moved.status, moved.code]).toEqual([403, 'DENIED'])
    expect(moved.text).toContain('immutable prod/**:*')
    const removed = await as(byName('alice'), path, { method: 'DELETE' })
    expect([removed.status, removed.code]).toEqual([403, 'DENIED'])
  })

  it('erin has push on sandbox/x in 2026, and from 2027-01-01 on pull', async () => {
    expect(await levelOf(byName('erin'), 'sandbox/x')).toBe('push')
    await using later = await start(newYearMs)
    expect(await levelOf(byName('erin'), 'sandbox/x', later)).toBe('pull')
  })

  it('bob has delete on team-a/api when he has left the group, as a line names him, and the check warns of that', async () => {
    const warning = /bob keeps this after leaving @team-a: name the group alone/
    expect(await done('check')).toMatch(warning)
    const settled = () => server.log.filter(({ msg }) => msg === 'settings').length
    const before = settled()
    await writeFile(join(folder, 'slipway.yaml'), settings('carol'))
    kill(primaryOf(server), 'SIGHUP')
    await until('the settings are taken', () => settled() > before)
    await until('carol goes on', async () => (await levelOf(byName('carol'), 'team-a/api')) === 'push')
    expect(await levelOf(byName('bob'), 'team-a/api')).toBe('delete')
  })
})

/** Runs a command beside the server, which takes the same moment for now. */
async function done(...words: readonly string[]): Promise<string> {
  const at = ['--config', join(folder, 'slipway.yaml'), '--data', server.data ?? '']
  const { status, stdout, stderr } = await slipway([...words, ...at], { env: clockAt(thisYearMs) })
  if (status !== 0) throw new Error(`${words.join(' ')} ended with ${status}: ${stderr}`)
  return stdout.trimEnd()
}

type Shown = readonly [username: string, secret: string]
const byName = (name: (typeof people)[number]): Shown => [name, passwordOf(name)]

/** What a client does: asks, is told where to get a token and what for, gets one, and asks again. */
async function as(
  shown: Shown | undefined,
  path: string,
  options: HttpRequest = {},
  { address }: TestServer = server,
): Promise<HttpAnswer> {
  const first = await send(address, path, options)
  const [, realm = '', service = '', scope = ''] =
    /^Bearer realm="([^"]+)",service="([^"]+)",scope="([^"]+)"/.exec(first.challenge ?? '') ?? []
  if (first.status !== 401 || scope === '')
    throw new Error(`no challenge: ${first.status} ${first.challenge}`)
  const query = new URLSearchParams({ service, scope })
  const issued = await send(address, `${new URL(realm).pathname}?${query}`, {
    authorization: shown && basic(...shown),
  })
  if (issued.status !== 200) return issued
  const { token } = JSON.parse(issued.text) as { token: string }
  return send(address, path, { ...options, authorization: bearer(token) })
}

/** What each level is needed for, where nothing is yet. */
const trials = [
  ['delete', { method: 'DELETE' }, 'manifests/none', 404],
  ['push', { method: 'POST' }, 'blobs/uploads/', 202],
  ['pull', { method: 'GET' }, `blobs/sha256:${'0'.repeat(64)}`, 404],
] as const

/** The highest level that somebody turns out to have, with a token of ours and, where a secret is shown, by that alone. */
async function levelOf(shown: Shown | undefined, repository: string, on: TestServer = server) {
  const answers = async (ask: (path: string, options: HttpRequest) => Promise<HttpAnswer>) => {
    const held: string[] = []
    for (const [level, options, path, status] of trials)
      if ((await ask(`/v2/${repository}/${path}`, options)).status === status) held.push(level)
    return held
  }
  const held = await answers((path, options) => as(shown, path, options, on))
  if (shown !== undefined) {
    const authorization = basic(...shown)
    const byItself = await answers((path, options) => send(on.address, path, { ...options, authorization }))
    expect(byItself).toEqual(held)
  }
  // A level includes those below it.
  expect(held).toEqual(['delete', 'push', 'pull'].slice(3 - held.length))
  return held[0] ?? 'none'
}

function index(text: string): HttpRequest {
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.oci.index,
    manifests: [],
    annotations: { text },
  }
  return {
    method: 'PUT',
    headers: { 'Content-Type': mediaTypes.oci.index },
    body: JSON.stringify(manifest),
  }
}
