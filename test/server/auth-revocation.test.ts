/** What was taken away is gone at the next request, in every process that shares the store. */
import { expect, it, onTestFinished } from 'vitest'
import { directory } from '../../auth/directory.ts'
import { activeOf, revoked, turned } from '../../auth/keys.ts'
import { createToken } from '../../auth/machines.ts'
import { makeSecret } from '../../auth/secrets.ts'
import { type AccessState, emptyState } from '../../auth/state.ts'
import { noAccessSettings, noWorkloads } from '../../server/access-control.ts'
import { accessDocuments } from '../../server/access-documents.ts'
import { apiToken, basic, bearer, someWorkloads, storedRules, storedUser } from '../helpers/access.ts'
import { ownedFolder } from '../helpers/folder.ts'
import { type Guarded, guarded } from '../helpers/guarded.ts'
import { pushBlob, repo } from '../helpers/local-registry.ts'
import { name } from '../helpers/principals.ts'
import { io } from '../helpers/waiting.ts'

const robot = apiToken('robot:ci')
const other = apiToken('robot:ci')
const before: Partial<AccessState> = {
  users: [storedUser('alice', { groups: [name('team')] }), storedUser('bob')],
  robots: [{ name: name('ci'), createdMs: 1 }],
  tokens: [robot.stored, other.stored],
  rules: storedRules('pull app @team robot:ci', 'pull app bob'),
}
const path = '/v2/app/tags/list'

/** Two servers over one folder, as two workers are. */
async function pair(): Promise<readonly [Guarded, Guarded]> {
  const { store, beside } = await ownedFolder()
  const first = await guarded(before, { store })
  const second = await guarded({}, { store: await beside() })
  onTestFinished(() => first[Symbol.asyncDispose]())
  onTestFinished(() => second[Symbol.asyncDispose]())
  await pushBlob(first.registry, Buffer.from('x'), repo('app'))
  return [first, second]
}

it.for<readonly [string, Partial<AccessState>]>([
  ['the user is disabled', { users: [storedUser('alice', { groups: [name('team')], disabled: true })] }],
  ['the user is removed', { users: [] }],
  ['the user leaves the group', { users: [storedUser('alice')] }],
  ['the password changes', { users: [storedUser('alice', { groups: [name('team')], serial: 2 })] }],
  ['the rule is removed', { rules: storedRules('pull app bob') }],
  ['the rule is over', { rules: [{ id: '1', rule: 'pull app @team', until: '2020-01-01', createdMs: 1 }] }],
])('does not take a token when %s', async ([, after]) => {
  const both = await pair()
  const authorization = await both[0].token('alice', 'repository:app:pull')
  for (const each of both) expect((await each.send(path, { authorization })).status).toBe(200)
  for (const each of both) expect((await each.as('alice', path)).status).toBe(200)
  await both[0].set(after)
  for (const each of both) expect((await each.send(path, { authorization })).status).toBe(401)
})

it.for<readonly [string, Partial<AccessState>]>([
  ['it is revoked', { tokens: [{ ...robot.stored, revokedMs: 1 }, other.stored] }],
  ['it is removed', { tokens: [other.stored] }],
  ['it has expired', { tokens: [{ ...robot.stored, expiresMs: Date.now() - 1 }, other.stored] }],
  ['its owner is removed', { robots: [] }],
  ['its ceiling is lowered', { tokens: [{ ...robot.stored, ceiling: ['pull other'] }, other.stored] }],
])('takes neither an API token nor what it got when %s', async ([, after]) => {
  const both = await pair()
  const shown = basic('ci', robot.text)
  const answer = await both[1].send('/auth/token?scope=repository:app:pull', { authorization: shown })
  const issued = `Bearer ${(JSON.parse(answer.text) as { token: string }).token}`
  for (const each of both)
    for (const authorization of [shown, issued])
      expect((await each.send(path, { authorization })).status).toBe(200)
  await both[0].set(after)
  for (const each of both)
    for (const authorization of [shown, issued]) {
      const { status } = await each.send(path, { authorization })
      expect([401, 403]).toContain(status)
    }
})

it('takes tokens of a key that is retired, and none of one that is revoked', async () => {
  const both = await pair()
  const authorization = await both[0].token('alice', 'repository:app:pull')
  const known = directory({
    documents: accessDocuments(both[0].store),
    settings: () => noAccessSettings,
    now: Date.now,
  })
  const { kid } = activeOf(await known.keys(io))
  await known.changeKeys(ring => turned(ring, Date.now()), io)
  for (const each of both) expect((await each.send(path, { authorization })).status).toBe(200)
  for (const each of both) {
    const renewed = await each.token('alice', 'repository:app:pull')
    for (const any of both) expect((await any.send(path, { authorization: renewed })).status).toBe(200)
  }
  await known.changeKeys(ring => revoked(ring, kid, Date.now()), io)
  for (const each of both) {
    const { status, challenge } = await each.send(path, { authorization })
    expect(status).toBe(401)
    expect(challenge).toContain('error="invalid_token"')
    expect((await each.send('/.well-known/jwks.json')).text).not.toContain(kid)
  }
})

it('closes at the first user, and takes nobody in who was nobody before', async () => {
  await using registry = await guarded({})
  const authorization = await registry.token(undefined, 'repository:app:pull')
  expect((await registry.send(path)).status).toBe(404)
  await registry.set({ users: [storedUser('alice')] })
  expect((await registry.send(path)).status).toBe(401)
  expect((await registry.send(path, { authorization })).status).toBe(401)
  expect((await registry.as('alice', path)).status).toBe(404)
})

it('takes nothing that a workload has proved in words that are not the configured ones any more', async () => {
  let terms = 'any branch'
  const access = () => ({ ...noAccessSettings, workloads: new Map([[name('gha'), terms]]) })
  const rules = storedRules('pull app workload:gha')
  let settings = access()
  let isTaken = true
  const workloads = () => (isTaken ? someWorkloads : noWorkloads)
  await using registry = await guarded(
    { users: [storedUser('alice')], rules },
    { access: () => settings, workloads },
  )
  const itself = basic('gha', 'workload.gha.x')
  const issued = await registry.send('/auth/token?scope=repository:app:pull', { authorization: itself })
  const authorization = bearer((JSON.parse(issued.text) as { token: string }).token)
  const statuses = async () => [
    (await registry.send(path, { authorization })).status,
    (await registry.send(path, { authorization: itself })).status,
  ]
  expect(await statuses()).toEqual([404, 404])
  settings = access()
  expect(await statuses()).toEqual([404, 404])
  terms = 'the branch main'
  settings = access()
  isTaken = false
  expect(await statuses()).toEqual([401, 401])
})

it('takes no token of a user of the password file when the line goes, nor when a later user has the name', async () => {
  const access = (hash?: string) => () => ({
    ...noAccessSettings,
    htpasswd: new Map(hash === undefined ? [] : [[name('dora'), hash]]),
    isExposed: true,
  })
  const [hash, ofAnother] = ['a', 'b'].map(letter => `$2y$04$${letter.repeat(53)}`)
  let settings = access(hash)()
  const { text, id, sha256 } = makeSecret('personal')
  const owner = { kind: 'user' as const, name: name('dora') }
  const made = { id, sha256, owner, ceiling: [], createdMs: Date.now(), lifetimeMs: 60_000 }
  const { tokens } = createToken(emptyState, made, settings.htpasswd, { ms: Infinity, text: '' })
  await using registry = await guarded(
    { tokens, rules: storedRules('pull app dora') },
    { access: () => settings },
  )
  const shown = basic('dora', text)
  const answer = await registry.send('/auth/token?scope=repository:app:pull', { authorization: shown })
  const issued = bearer((JSON.parse(answer.text) as { token: string }).token)
  const statuses = async () => {
    const both = [shown, issued].map(authorization => registry.send(path, { authorization }))
    return (await Promise.all(both)).map(({ status }) => status)
  }
  expect(await statuses()).toEqual([404, 404])
  for (const later of [undefined, ofAnother]) {
    settings = access(later)()
    expect(await statuses()).toEqual([401, 401])
  }
  settings = access(hash)()
  expect(await statuses()).toEqual([404, 404])
})
