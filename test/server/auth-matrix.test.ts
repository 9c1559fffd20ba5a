/** Every operation, by everybody, on every kind of repository: what is answered, against an oracle of a few lines. */

import { expect, it } from 'vitest'
import { workloadCredential } from '../../auth/proofs.ts'
import type { RepositoryName } from '../../oci/names.ts'
import { noAccessSettings } from '../../server/access-control.ts'
import { requiredPermission } from '../../server/operations.ts'
import { memoryStore } from '../../storage/memory.ts'
import { inParallel } from '../../storage/record.ts'
import {
  apiToken,
  basic,
  bearer,
  forge,
  password,
  setAccess,
  someWorkloads,
  storedProtections,
  storedRules,
  storedUser,
} from '../helpers/access.ts'
import { send } from '../helpers/http.ts'
import { digest, emptyIndex } from '../helpers/images.ts'
import { pushBlob, pushManifest, registryOver, repo, tag } from '../helpers/local-registry.ts'
import { name, user } from '../helpers/principals.ts'
import { startRegistry } from '../helpers/registry.ts'
import { type Level, type Request, type Row, requestsFor, type State, states } from './auth-matrix.ts'

const ranks: readonly Level[] = ['none', 'pull', 'push', 'delete', 'admin']
const rank = (level: Level) => ranks.indexOf(level)

/** What auth-security 1.8 says, and nothing of how it is done. */
function oracle(row: Row, request: Request, state: State): string {
  if (row.shows === 'nothing' || row.shows === 'wrong') return '401'
  if (row.shows === 'dead') return '401 invalid_token'
  const level = state.isPublic ? Math.max(rank(row.level), rank('pull')) : rank(row.level)
  if (level < rank(request.needs)) return row.shows === 'bearer' ? '401 insufficient_scope' : '403'
  if (state.protection && request.refusedBy?.includes(state.protection)) return '403'
  return String(request.answers[state.has])
}

const bytesOf = (bytes: Buffer) => ({ bytes, digest: digest(bytes) })
const firstManifest = emptyIndex('first')
const objects = {
  blob: bytesOf(Buffer.from('a blob')),
  other: bytesOf(Buffer.from('another blob')),
  first: bytesOf(firstManifest.bytes),
  second: bytesOf(emptyIndex('second').bytes),
}
const requests = requestsFor(objects)

const robot = apiToken('robot:ci')
const ceiled = apiToken('robot:ci', { ceiling: ['pull **'] })
const revoked = apiToken('robot:ci', { revokedMs: 1 })
const expired = apiToken('user:pusher', { expiresMs: 1 })
const personal = apiToken('user:pusher')

const rules = [
  'pull public/** anyone',
  'pull public-missing/** anyone',
  'pull public-empty/** anyone',
  'pull public-frozen/** anyone',
  'pull ** puller',
  'push ** pusher disabled @team robot:ci workload:gha',
  'delete ** deleter',
  'admin ** owner',
]
const protections = [
  'frozen frozen/**',
  'frozen public-frozen/**',
  'immutable locked/**:v*',
  'no-delete kept/**',
]

/** A credential of each kind: a header for a repository, and what it is worth. */
async function everybody(store: ReturnType<typeof memoryStore>) {
  const ours = await forge(store)
  const past = await forge(store, { now: () => Date.now() - 30 * 60_000 })
  const foreign = await forge(memoryStore())
  const elsewhere = await forge(store, { issuer: 'urn:slipway:elsewhere' })
  const all = ['pull', 'push', 'delete'] as const
  type Who = Parameters<typeof ours.issue>[0]['subject']
  const person = (text: string): Who => user(text)
  const ci: Who = { kind: 'robot', name: name('ci') }
  const issued =
    (
      tokens: typeof ours,
      subject: Who,
      credential: string | undefined,
      actions: readonly (typeof all)[number][] = all,
    ) =>
    async (repository: RepositoryName) => {
      const access = [{ type: 'repository' as const, name: repository, actions }]
      return bearer((await tokens.issue({ subject, access, credential })).token)
    }
  const shown = (username: string, secret: string) => async () => basic(username, secret)
  const proof = (text: string) => `password:${text}:1`
  type Header = (repository: RepositoryName) => Promise<string | undefined>
  const people: readonly [string, Level][] = [
    ['nobody', 'none'],
    ['puller', 'pull'],
    ['pusher', 'push'],
    ['deleter', 'delete'],
    ['owner', 'admin'],
    ['member', 'push'],
    ['root', 'admin'],
  ]
  const rows: readonly (readonly [string, Row, Header])[] = [
    ['nothing', { shows: 'nothing', level: 'none' }, async () => undefined],
    ['an empty password', { shows: 'nothing', level: 'none' }, shown('', '')],
    [
      'an anonymous token',
      { shows: 'bearer', level: 'none' },
      issued(ours, { kind: 'anonymous' }, undefined),
    ],
    ...people.flatMap(([text, level]): readonly (readonly [string, Row, Header])[] => [
      [`${text}, password`, { shows: 'basic', level }, shown(text, password)],
      [`${text}, issued`, { shows: 'bearer', level }, issued(ours, person(text), proof(text))],
    ]),
    [
      'owner, issued to pull',
      { shows: 'bearer', level: 'pull' },
      issued(ours, person('owner'), proof('owner'), ['pull']),
    ],
    ['disabled, password', { shows: 'wrong', level: 'none' }, shown('disabled', password)],
    [
      'disabled, issued',
      { shows: 'dead', level: 'none' },
      issued(ours, person('disabled'), proof('disabled')),
    ],
    ['personal token', { shows: 'basic', level: 'push' }, shown('anything', personal.text)],
    ['robot', { shows: 'basic', level: 'push' }, shown('ci', robot.text)],
    ['robot, issued', { shows: 'bearer', level: 'push' }, issued(ours, ci, `token:${robot.id}`)],
    ['robot under a ceiling', { shows: 'basic', level: 'pull' }, shown('ci', ceiled.text)],
    [
      'robot under a ceiling, issued',
      { shows: 'bearer', level: 'pull' },
      issued(ours, ci, `token:${ceiled.id}`),
    ],
    ['workload', { shows: 'basic', level: 'push' }, shown('oidc', 'workload.gha.x')],
    [
      'workload, issued',
      { shows: 'bearer', level: 'push' },
      issued(ours, { kind: 'workload', name: name('gha') }, workloadCredential(name('gha'), 'x')),
    ],
    ['expired', { shows: 'dead', level: 'none' }, issued(past, person('pusher'), proof('pusher'))],
    ['expired API token', { shows: 'wrong', level: 'none' }, shown('pusher', expired.text)],
    ['revoked API token', { shows: 'wrong', level: 'none' }, shown('ci', revoked.text)],
    ['revoked, issued', { shows: 'dead', level: 'none' }, issued(ours, ci, `token:${revoked.id}`)],
    [
      'token of another key',
      { shows: 'dead', level: 'none' },
      issued(foreign, person('owner'), proof('owner')),
    ],
    [
      'token of another registry',
      { shows: 'dead', level: 'none' },
      issued(elsewhere, person('owner'), proof('owner')),
    ],
    [
      'token of an earlier password',
      { shows: 'dead', level: 'none' },
      issued(ours, person('owner'), 'password:owner:0'),
    ],
    ['wrong password', { shows: 'wrong', level: 'none' }, shown('owner', 'not the password')],
    ['workload of a wrong seal', { shows: 'wrong', level: 'none' }, shown('oidc', 'workload.gha.y')],
    ['API token as a bearer', { shows: 'dead', level: 'none' }, async () => bearer(robot.text)],
    ['another scheme', { shows: 'wrong', level: 'none' }, async () => 'Digest username="owner"'],
  ]
  return rows
}

/** Each has a store of its own: in memory a listing looks at all there is. */
const groups = 8

it.for(Array.from({ length: groups }, (_, group) => [group] as const))(
  'answers everybody as the status matrix has it (part %i)',
  { timeout: 60_000 },
  async ([group]) => {
    const store = memoryStore()
    const registry = registryOver(store, { sparse: () => 'index' })
    await setAccess(store, state)
    await using server = await startRegistry({
      store,
      access: () => configured,
      workloads: () => someWorkloads,
    })
    let made = 0
    async function prepare(prefix: string, { has }: State): Promise<RepositoryName> {
      const repository = repo(`${prefix}/r${++made}`)
      if (has === 'another object') await pushBlob(registry, Buffer.from('not this one'), repository)
      if (has === 'the object') {
        await pushBlob(registry, objects.blob.bytes, repository)
        await pushManifest(registry, firstManifest, tag('v1'), { name: repository })
      }
      return repository
    }

    const rows = await everybody(store)
    const cells = rows.flatMap(row =>
      Object.entries(states).flatMap(([prefix, state]) =>
        requests.map(request => ({ row, prefix, state, request })),
      ),
    )
    const mine = cells.filter(({ row }) => rows.indexOf(row) % groups === group)
    const shared = new Map<string, Promise<RepositoryName>>()
    const wrong = await inParallel(mine, 12, async ({ row: [who, row, header], prefix, state, request }) => {
      const known = shared.get(prefix) ?? prepare(prefix, state)
      shared.set(prefix, known)
      const repository = request.changes ? await prepare(prefix, state) : await known
      const { status, challenge = '' } = await send(server.address, `/v2/${repository}/${request.path}`, {
        method: request.method,
        authorization: await header(repository),
        headers: request.type ? { 'Content-Type': request.type } : {},
        ...(request.body && { body: request.body }),
      })
      const [, reason] = /error="(\w+)"/.exec(challenge) ?? []
      const found = reason === undefined ? String(status) : `${status} ${reason}`
      const expected = oracle(row, request, state)
      const isChallenged = challenge.startsWith('Bearer realm="')
      if (found === expected && isChallenged === (status === 401)) return []
      return [`${who}: ${request.method} ${prefix} ${request.path}: ${found} instead of ${expected}`]
    })
    expect(wrong.flat()).toEqual([])
    expect(cells.length).toBeGreaterThan(5_000)
  },
)

it('has a request for every operation on a repository', () => {
  const named = Object.entries(requiredPermission).filter(([, needs]) => ranks.includes(needs as Level))
  expect(new Set(requests.map(({ kind }) => kind))).toEqual(new Set(named.map(([kind]) => kind)))
  for (const { kind, needs } of requests) expect(requiredPermission[kind]).toBe(needs)
})

const state = {
  users: [
    ...['nobody', 'puller', 'pusher', 'deleter', 'owner'].map(text => storedUser(text)),
    storedUser('member', { groups: [name('team')] }),
    storedUser('root', { groups: [name('administrators')] }),
    storedUser('disabled', { disabled: true }),
  ],
  robots: [{ name: name('ci'), createdMs: 1 }],
  tokens: [robot, ceiled, revoked, expired, personal].map(({ stored }) => stored),
  rules: storedRules(...rules),
  protections: storedProtections(...protections),
}

const configured = { ...noAccessSettings, workloads: new Map([[name('gha'), 'x']]) }
