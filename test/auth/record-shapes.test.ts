/** Fields that nobody here knows: neither read, whoever wrote them, nor written, whoever asks for it. */
import { expect, it } from 'vitest'
import { directory } from '../../auth/directory.ts'
import { addRobot, createToken } from '../../auth/machines.ts'
import { addUser, changePassword } from '../../auth/people.ts'
import { type AccessState, emptyState } from '../../auth/state.ts'
import { addProtection, addRule } from '../../auth/stored-rules.ts'
import { noAccessSettings } from '../../server/access-control.ts'
import { accessDocuments } from '../../server/access-documents.ts'
import { memoryStore } from '../../storage/memory.ts'
import { apiToken, basic, password, storedProtections, storedRules, storedUser } from '../helpers/access.ts'
import { send } from '../helpers/http.ts'
import { name } from '../helpers/principals.ts'
import { startRegistry } from '../helpers/registry.ts'
import { io } from '../helpers/waiting.ts'

const user = storedUser('alice', { groups: [name('team')] })
const robot = { name: name('ci'), createdMs: 1 }
const token = apiToken('user:alice', { ceiling: ['pull a'], expiresMs: 3, revokedMs: 2 }).stored
const [rule = { id: '', rule: '', createdMs: 0 }] = storedRules('pull a alice')
const [protection = { id: '', protection: '', createdMs: 0 }] = storedProtections('no-delete a')
const whole: AccessState = {
  users: [user],
  robots: [robot],
  tokens: [token],
  rules: [{ ...rule, until: '2027-01-01', note: 'why' }],
  protections: [protection],
}

function over(state: unknown) {
  const store = memoryStore()
  const documents = accessDocuments(store)
  const known = directory({ documents, settings: () => noAccessSettings, now: Date.now })
  return { store, known, put: () => documents.write('access', Object(state), undefined, io) }
}

/** What nobody could have made by a command. */
const strange: readonly (readonly [string, unknown])[] = [
  ['users.0.isAdministrator', { ...whole, users: [{ ...user, isAdministrator: true }] }],
  ['users.0.groups', { ...whole, users: [{ ...user, groups: 'administrators' }] }],
  ['users.0.groups.0', { ...whole, users: [{ ...user, groups: [['administrators']] }] }],
  ['users.0.disabled', { ...whole, users: [{ ...user, disabled: 'yes' }] }],
  ['users.0.serial', { ...whole, users: [{ ...user, serial: '1' }] }],
  ['users.0.name', { ...whole, users: [{ ...user, name: 'robot:ci' }] }],
  ['users.0.name', { ...whole, users: [{ ...user, name: ['alice'] }] }],
  ['users.0.__proto__', JSON.parse(JSON.stringify(whole).replace('"serial"', '"__proto__":{},"serial"'))],
  ['users.0', { ...whole, users: [null] }],
  ['users', { ...whole, users: { 0: user, length: 1 } }],
  ['robots.0.level', { ...whole, robots: [{ ...robot, level: 'admin' }] }],
  ['tokens.0.allowIps', { ...whole, tokens: [{ ...token, allowIps: ['10.0.0.1'] }] }],
  ['tokens.0.owner', { ...whole, tokens: [{ ...token, owner: 'workload:gha' }] }],
  ['tokens.0.owner', { ...whole, tokens: [{ ...token, owner: 'alice' }] }],
  ['tokens.0.owner', { ...whole, tokens: [{ ...token, owner: 'anonymous' }] }],
  ['tokens.0.ceiling', { ...whole, tokens: [{ ...token, ceiling: 'pull a' }] }],
  ['tokens.0.expiresMs', { ...whole, tokens: [{ ...token, expiresMs: 'never' }] }],
  ['tokens.0.revokedMs', { ...whole, tokens: [{ ...token, revokedMs: null }] }],
  ['rules.0.to', { ...whole, rules: [{ ...rule, to: ['anyone'] }] }],
  ['rules.0.until', { ...whole, rules: [{ ...rule, until: 0 }] }],
  ['protections.0.enabled', { ...whole, protections: [{ ...protection, enabled: false }] }],
  ['roles', { ...whole, roles: [] }],
  ['tokens', { ...whole, tokens: undefined }],
  ['its top', [whole]],
]

it('takes every field that there is', async () => {
  const { known, put } = over(whole)
  await put()
  expect((await known.view(io)).state).toEqual(whole)
})

it.for(strange)('takes no record with something strange at %s', async ([place, state]) => {
  const { known, put } = over(state)
  await put()
  const refusal = `the record of access has at ${place} what this version does not know`
  await expect(known.view(io)).rejects.toThrow(refusal)
  await expect(known.change(before => ({ state: before, result: 0 }), io)).rejects.toThrow(refusal)
})

it.for(strange)('writes none either: %s', async ([place, state]) => {
  const { known } = over(undefined)
  const change = known.change(() => ({ state: state as AccessState, result: 0 }), io)
  await expect(change).rejects.toThrow(`has at ${place} what`)
  expect((await known.view(io)).state).toEqual(emptyState)
})

it('lets nobody in by a record that it does not take', async () => {
  const { store, put } = over({ ...whole, users: [{ ...user, groups: 'administrators' }] })
  await put()
  await using registry = await startRegistry({ store })
  for (const path of ['/v2/', '/v2/a/tags/list', '/auth/token?scope=repository:a:pull']) {
    const asAlice = { authorization: basic('alice', password) }
    const answers = [await send(registry.address, path, asAlice), await send(registry.address, path)]
    for (const { status, text } of answers) {
      expect(status).toBe(500)
      expect(text).not.toMatch(/users|groups/)
    }
  }
})

/** What a form, or a file, could hold beside what it is for. */
const more = {
  groups: ['administrators'],
  isAdmin: true,
  owner: 'user:root',
  level: 'admin',
  rule: 'admin ** alice',
  createdBy: 'root',
  ['__proto__']: { disabled: true },
}

it('keeps of what a change is given what the change is for, and nothing beside', () => {
  const longest = { ms: 1_000, text: '1s' }
  const owner = { kind: 'user', name: name('alice') } as const
  const given = { name: name('alice'), password: 'p', serial: 2, isAdministrator: false, createdMs: 1 }
  const secret = { id: 'x', sha256: 'y', ceiling: ['pull a'], createdMs: 1, lifetimeMs: 10 }
  const withUser = addUser(emptyState, { ...more, ...given })
  const withToken = createToken(withUser, { ...more, ...secret, owner }, new Map(), longest)
  const withPassword = changePassword(withToken, name('alice'), { ...more, password: 'q', serial: 3 })
  const withRule = addRule(withPassword, { ...more, id: 'r', rule: 'pull  a alice', createdMs: 1 })
  const state = addProtection(addRobot(withRule, name('ci'), 1), {
    ...more,
    id: 'p',
    protection: 'no-delete a',
    createdMs: 1,
  })
  expect(state).toEqual({
    users: [{ name: 'alice', password: 'q', serial: 3, groups: [], disabled: false, createdMs: 1 }],
    robots: [{ name: 'ci', createdMs: 1 }],
    tokens: [{ id: 'x', owner: 'user:alice', sha256: 'y', ceiling: ['pull a'], createdMs: 1, expiresMs: 11 }],
    rules: [{ id: 'r', rule: 'pull a alice', createdMs: 1 }],
    protections: [{ id: 'p', protection: 'no-delete a', createdMs: 1 }],
  })
})
