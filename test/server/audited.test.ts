/** What the server writes into the audit, and what it does not. */
import { expect, it } from 'vitest'
import { verifyChain } from '../../auth/audit.ts'
import { journal } from '../../storage/journal.ts'
import { memoryStore } from '../../storage/memory.ts'
import { apiToken, password, storedProtections, storedRules, storedUser } from '../helpers/access.ts'
import { type Guarded, guarded } from '../helpers/guarded.ts'
import { type Content, digest, emptyIndex, mediaTypes } from '../helpers/images.ts'
import { pushBlob, repo } from '../helpers/local-registry.ts'
import { name } from '../helpers/principals.ts'
import { io } from '../helpers/waiting.ts'

const first = emptyIndex('first')
const second = emptyIndex('second')
const blob = Buffer.from('blob')
const root = storedUser('root', { groups: [name('administrators')] })

interface Line {
  readonly actor: string
  readonly via: string
  readonly ip: string
  readonly action: string
  readonly target?: string
  readonly result: string
  readonly detail?: object
}

/** The lines that are there when the registry has stopped, without what differs each time. */
async function linesOf(registry: Guarded, act: () => Promise<unknown>): Promise<Line[]> {
  await act()
  await registry[Symbol.asyncDispose]()
  const texts: string[] = []
  for await (const { text } of journal(registry.store).lines(io)) texts.push(text)
  expect(await verifyChain(texts)).toMatchObject({ kind: 'intact' })
  return texts.map(text => {
    const { seq, previous, at, ...line } = JSON.parse(text)
    expect(line.ip).toBe('127.0.0.1')
    return line
  })
}

const summary = ({ actor, action, target, result, detail }: Line) => [actor, action, target, result, detail]
const put = (registry: Guarded, who: string | undefined, path: string, { bytes }: Content) =>
  registry.as(who, path, {
    method: 'PUT',
    headers: { 'Content-Type': mediaTypes.oci.index },
    body: bytes,
  })

it('tells who pushed, moved, mounted and deleted what', async () => {
  const registry = await guarded({ users: [root] })
  const lines = await linesOf(registry, async () => {
    await pushBlob(registry.registry, blob, repo('team/base'))
    await put(registry, 'root', '/v2/team/app/manifests/1', first)
    await put(registry, 'root', '/v2/team/app/manifests/1', first)
    await put(registry, 'root', `/v2/team/app/manifests/${second.descriptor.digest}?tag=1&tag=2`, second)
    const mount = `/v2/team/app/blobs/uploads/?mount=${digest(blob)}&from=team/base`
    expect((await registry.as('root', mount, { method: 'POST' })).status).toBe(201)
    const other = `/v2/team/app/blobs/uploads/?mount=${digest(Buffer.from('x'))}&from=team/base`
    expect((await registry.as('root', other, { method: 'POST' })).status).toBe(202)
    await registry.as('root', `/v2/team/app/blobs/${digest(blob)}`, { method: 'DELETE' })
    await registry.as('root', '/v2/team/app/manifests/2', { method: 'DELETE' })
    await registry.as('root', `/v2/team/app/manifests/${second.descriptor.digest}`, { method: 'DELETE' })
    await registry.as('root', '/v2/team/app/manifests/nothing', { method: 'DELETE' })
  })
  const [one, two] = [first.descriptor.digest, second.descriptor.digest]
  expect(lines.map(({ via }) => via)).toEqual(lines.map(() => 'password'))
  expect(lines.map(summary)).toEqual([
    ['user:root', 'login', undefined, 'done', undefined],
    ['user:root', 'push', 'team/app:1', 'done', { after: one }],
    ['user:root', 'push', 'team/app:1', 'done', { after: one }],
    ['user:root', 'push', `team/app@${two}`, 'done', undefined],
    ['user:root', 'tag.move', 'team/app:1', 'done', { before: one, after: two }],
    ['user:root', 'mount', `team/app@${digest(blob)}`, 'done', { before: `team/base@${digest(blob)}` }],
    ['user:root', 'delete', `team/app@${digest(blob)}`, 'done', undefined],
    ['user:root', 'delete', 'team/app:2', 'done', { before: two }],
    ['user:root', 'delete', `team/app@${two}`, 'done', undefined],
    ['user:root', 'delete', 'team/app:1', 'done', { before: two }],
  ])
})

it('tells by what protection something was refused', async () => {
  const registry = await guarded({
    users: [root],
    protections: storedProtections('immutable team/**:v*', 'frozen old/**'),
  })
  const lines = await linesOf(registry, async () => {
    await put(registry, 'root', '/v2/team/app/manifests/v1', first)
    expect((await put(registry, 'root', '/v2/team/app/manifests/v1', second)).status).toBe(403)
    await registry.as('root', '/v2/team/app/manifests/v1', { method: 'DELETE' })
    await registry.as('root', '/v2/old/app/blobs/uploads/', { method: 'POST' })
  })
  const immutable = { protection: 'immutable team/**:v*' }
  expect(lines.slice(2).map(summary)).toEqual([
    ['user:root', 'push', 'team/app:v1', 'refused', immutable],
    ['user:root', 'delete', 'team/app:v1', 'refused', immutable],
    ['user:root', 'push', 'old/app', 'refused', { protection: 'frozen old/**' }],
  ])
})

it('tells who logged in and who was refused, once for as long as they go on, and no secret', async () => {
  const secret = apiToken('robot:ci')
  const typed = 'canary-in-the-wrong-field'
  const store = memoryStore()
  const registry = await guarded(
    {
      users: [storedUser('bob')],
      robots: [{ name: name('ci'), createdMs: 1 }],
      tokens: [secret.stored],
      rules: storedRules('push team/** robot:ci bob'),
    },
    { store },
  )
  const lines = await linesOf(registry, async () => {
    const login = (username: string, shown: string) =>
      registry.send('/auth/token', {
        authorization: `Basic ${Buffer.from(`${username}:${shown}`).toString('base64')}`,
      })
    for (let again = 0; again < 3; again++) {
      await login('bob', password)
      await login('whoever', secret.text)
      await login('bob', 'wrong')
      await login(typed, 'wrong')
    }
    const authorization = await registry.token('bob', 'repository:team/app:push')
    await registry.send('/v2/team/app/manifests/1', {
      method: 'PUT',
      authorization,
      headers: { 'Content-Type': mediaTypes.oci.index },
      body: first.bytes,
    })
    // No secret was shown, and nothing was refused that was.
    await registry.send('/v2/')
    await registry.send('/v2/', { authorization: 'Bearer ended' })
  })
  expect(lines.map(({ via, ...line }) => [via, ...summary({ via, ...line })])).toEqual([
    ['password', 'user:bob', 'login', undefined, 'done', undefined],
    [`token:${secret.id}`, 'robot:ci', 'login', undefined, 'done', undefined],
    ['nothing', 'anonymous', 'login', 'user:bob', 'refused', { reason: 'wrong' }],
    ['nothing', 'anonymous', 'login', undefined, 'refused', { reason: 'wrong' }],
    ['password', 'user:bob', 'push', 'team/app:1', 'done', { after: first.descriptor.digest }],
  ])
  expect(JSON.stringify(lines)).not.toMatch(new RegExp(`canary|${secret.text.slice(-20)}|${password}`))
})

it('tells of an open registry too, whose clients are nobody', async () => {
  const registry = await guarded({})
  const lines = await linesOf(registry, () => put(registry, undefined, '/v2/team/app/manifests/1', first))
  expect(lines.map(({ via, ...line }) => [via, ...summary({ via, ...line })])).toEqual([
    ['nothing', 'anonymous', 'push', 'team/app:1', 'done', { after: first.descriptor.digest }],
  ])
})
