/** Blobs from other repositories (auth-security 1.10): who may not see one learns nothing, and gets an upload. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { memoryStore } from '../../storage/memory.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { storedRules, storedUser } from '../helpers/access.ts'
import { type Guarded, guarded } from '../helpers/guarded.ts'
import { digest } from '../helpers/images.ts'
import { pushBlob, repo } from '../helpers/local-registry.ts'

const shared = Buffer.from('in open/base and in secret/base')
const hidden = Buffer.from('in secret/base')
const absent = Buffer.from('nowhere')
let registry: Guarded
beforeAll(async () => {
  registry = await guarded({
    users: [storedUser('bob')],
    rules: storedRules('push mine/** bob', 'pull open/** bob'),
  })
  await pushBlob(registry.registry, shared, repo('open/base'))
  await pushBlob(registry.registry, shared, repo('secret/base'))
  await pushBlob(registry.registry, hidden, repo('secret/base'))
})
afterAll(() => registry[Symbol.asyncDispose]())

let made = 0
const fresh = () => `mine/app${++made}`
const pathOf = (name: string, bytes: Buffer, query = '') =>
  `/v2/${name}/blobs/uploads/?mount=${digest(bytes)}${query}`

it.for([
  ['from what is theirs', shared, '&from=open/base', 201],
  ['from what is theirs and lacks it', hidden, '&from=open/base', 202],
  ['from what is hidden', shared, '&from=secret/base', 202],
  ['from what is hidden and alone has it', hidden, '&from=secret/base', 202],
  ['from what is not there', shared, '&from=no/where', 202],
  ['from itself', shared, '', 201],
  ['from anywhere, where only the hidden has it', hidden, '', 202],
  ['from anywhere, where nobody has it', absent, '', 202],
  ['from the first of two', shared, '&from=secret/base&from=open/base', 202],
  ['from no name', shared, '&from=Not_A_Name', 400],
] as const)('mounts a blob %s', async ([, bytes, from, status]) => {
  const name = fresh()
  const byPassword = await registry.as('bob', pathOf(name, bytes, from), { method: 'POST' })
  expect(byPassword.status).toBe(status)
  const authorization = await registry.token(
    'bob',
    `repository:${name}:pull,push`,
    'repository:open/base:pull',
  )
  const byToken = await registry.send(pathOf(fresh(), bytes, from), { method: 'POST' })
  expect(byToken.status).toBe(status === 400 ? 400 : 401)
  const again = await registry.send(pathOf(name, bytes, from), { method: 'POST', authorization })
  expect(again.status).toBe(status)
  const found = await registry.as('bob', `/v2/${name}/blobs/${digest(bytes)}`, { method: 'HEAD' })
  expect(found.status).toBe(status === 201 ? 200 : 404)
})

it('asks for a token that names the source too, where its holder could have one', async () => {
  const name = fresh()
  const authorization = await registry.token('bob', `repository:${name}:pull,push`)
  const { status, challenge } = await registry.send(pathOf(name, shared, '&from=open/base'), {
    method: 'POST',
    authorization,
  })
  expect(status).toBe(401)
  expect(challenge).toContain(
    `,scope="repository:${name}:pull,push repository:open/base:pull",error="insufficient_scope"`,
  )
})

it('answers the same for a source that is hidden, that lacks the blob, and that is not there', async () => {
  const name = fresh()
  const authorization = await registry.token('bob', `repository:${name}:pull,push`)
  const answers = await Promise.all(
    ['secret/base', 'secret/other', 'no/where'].map(from =>
      registry.send(pathOf(name, hidden, `&from=${from}`), { method: 'POST', authorization }),
    ),
  )
  for (const { status, headers, text } of answers) {
    expect([status, text]).toEqual([202, ''])
    expect(Object.keys(headers)).toEqual(Object.keys(answers[0]?.headers ?? {}))
    expect(headers.location?.length).toBe(answers[0]?.headers.location?.length)
  }
})

it('looks no longer for what hidden repositories have than for what nobody has', async () => {
  let looks = 0
  const kept = memoryStore()
  const counting: ObjectStore = {
    ...kept,
    read(key, io) {
      looks++
      return kept.read(key, io)
    },
    list(prefix, options) {
      looks++
      return kept.list(prefix, options)
    },
  }
  await using many = await guarded(
    { users: [storedUser('bob')], rules: storedRules('push mine/** bob', 'pull open/** bob') },
    { store: counting },
  )
  for (let at = 0; at < 60; at++) await pushBlob(many.registry, hidden, repo(`hidden/r${at}`))
  await pushBlob(many.registry, shared, repo('open/base'))
  const looksFor = async (bytes: Buffer) => {
    const before = looks
    const { status } = await many.as('bob', pathOf('mine/app', bytes), { method: 'POST' })
    expect(status).toBe(202)
    return looks - before
  }
  // What is remembered is remembered for both.
  await looksFor(absent)
  expect(await looksFor(hidden)).toBe(await looksFor(absent))
})

it.for([
  ['who may pull some repositories', 'pull open/** bob'],
  ['who may pull every one', 'pull ** bob'],
] as const)('finds what %s can have, whoever else has it', async ([, rule]) => {
  await using many = await guarded({
    users: [storedUser('bob')],
    rules: storedRules('push mine/** bob', rule),
  })
  for (let at = 0; at < 60; at++) await pushBlob(many.registry, shared, repo(`hidden/r${at}`))
  await pushBlob(many.registry, shared, repo('open/base'))
  expect((await many.as('bob', pathOf('mine/app', shared), { method: 'POST' })).status).toBe(201)
})

it('knows no blob by its digest alone', async () => {
  const name = fresh()
  const known = digest(hidden)
  expect((await registry.as('bob', `/v2/${name}/blobs/${known}`, { method: 'HEAD' })).status).toBe(404)
  const short = await registry.as('bob', `/v2/${name}/blobs/uploads/?digest=${known}`, { method: 'POST' })
  expect([short.status, short.code]).toEqual([400, 'DIGEST_INVALID'])
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/json', digest: known, size: hidden.length },
    layers: [],
  }
  const put = await registry.as('bob', `/v2/${name}/manifests/1`, {
    method: 'PUT',
    headers: { 'Content-Type': manifest.mediaType },
    body: JSON.stringify(manifest),
  })
  expect([put.status, put.code]).toEqual([400, 'MANIFEST_BLOB_UNKNOWN'])
})
