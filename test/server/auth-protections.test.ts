/** Protections bind everybody, by every way in which a tag or its content can change. */
import { expect, it } from 'vitest'
import { storedProtections, storedUser } from '../helpers/access.ts'
import { type Guarded, guarded } from '../helpers/guarded.ts'
import { type Content, digest, emptyIndex, mediaTypes } from '../helpers/images.ts'
import { pushBlob, pushManifest, repo, tag } from '../helpers/local-registry.ts'
import { name } from '../helpers/principals.ts'

const first = emptyIndex('first')
const second = emptyIndex('second')
const blob = Buffer.from('blob')
const app = repo('prod/app')

async function protectedBy(...lines: readonly string[]): Promise<Guarded> {
  const registry = await guarded({
    users: [storedUser('root', { groups: [name('administrators')] })],
    protections: storedProtections(...lines),
  })
  await pushBlob(registry.registry, blob, app)
  await pushManifest(registry.registry, first, tag('v1'), { name: app })
  return registry
}

const change = (method: string, path: string, manifest?: Content) => ({ method, path, manifest })
const changes = {
  'tag v1 again': change('PUT', 'manifests/v1', first),
  'tag v1 again by digest': change('PUT', `manifests/${first.descriptor.digest}?tag=v1`, first),
  'move v1': change('PUT', 'manifests/v1', second),
  'move v1 by digest': change('PUT', `manifests/${second.descriptor.digest}?tag=v9&tag=v1`, second),
  'move v1 beside another tag': change('PUT', 'manifests/latest?tag=v1', second),
  'make v2': change('PUT', 'manifests/v2', second),
  'make v2 by digest': change('PUT', `manifests/${second.descriptor.digest}?tag=v2`, second),
  'push without a tag': change('PUT', `manifests/${second.descriptor.digest}`, second),
  'delete v1': change('DELETE', 'manifests/v1'),
  'delete what v1 is': change('DELETE', `manifests/${first.descriptor.digest}`),
  'delete a blob': change('DELETE', `blobs/${digest(blob)}`),
  'start an upload': change('POST', 'blobs/uploads/'),
  'mount a blob': change('POST', `blobs/uploads/?mount=${digest(blob)}`),
} as const
type Name = keyof typeof changes
const moves = ['move v1', 'move v1 by digest', 'move v1 beside another tag'] as const
const deletes = ['delete v1', 'delete what v1 is'] as const
const all = Object.keys(changes) as Name[]

it.for<readonly [string, readonly Name[]]>([
  ['immutable prod/**:v*', [...moves, ...deletes]],
  ['immutable prod/app', [...moves, ...deletes]],
  ['immutable prod/**:v2', []],
  ['immutable other/**', []],
  ['no-delete prod/**', [...deletes, 'delete a blob']],
  ['no-delete prod/**:v1', deletes],
  ['frozen prod/**:v2', ['make v2', 'make v2 by digest']],
  ['frozen prod/**', all],
])('%s refuses to %j', async ([line, refused]) => {
  for (const each of all) {
    await using registry = await protectedBy(line)
    const { method, path, manifest } = changes[each]
    const { status, code, text } = await registry.as('root', `/v2/prod/app/${path}`, {
      method,
      ...(manifest && { headers: { 'Content-Type': mediaTypes.oci.index }, body: manifest.bytes }),
    })
    const isRefused = refused.includes(each)
    expect([each, status === 403, code === 'DENIED']).toEqual([each, isRefused, isRefused])
    if (!isRefused) continue
    expect(JSON.parse(text).errors[0].message).toContain(`"${line}"`)
    const now = await registry.as('root', '/v2/prod/app/manifests/v1')
    expect([now.status, now.headers['docker-content-digest']]).toEqual([200, first.descriptor.digest])
    const left = await registry.as('root', `/v2/prod/app/manifests/${second.descriptor.digest}`)
    expect(left.status).toBe(404)
    expect((await registry.as('root', '/v2/prod/app/tags/list')).text).toContain('"tags":["v1"]')
  }
})

it('lets one of two make an immutable tag, and no two', async () => {
  await using registry = await protectedBy('immutable prod/**')
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, at) => {
      const { bytes } = emptyIndex(`racer ${at}`)
      return registry.as('root', '/v2/prod/app/manifests/v3', {
        method: 'PUT',
        headers: { 'Content-Type': mediaTypes.oci.index },
        body: bytes,
      })
    }),
  )
  const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b)
  expect(statuses).toEqual([201, ...Array.from({ length: 11 }, () => 403)])
})

it('says nothing of protections to who has no right to the change', async () => {
  await using registry = await protectedBy('frozen prod/**')
  const { status, text } = await registry.send('/v2/prod/app/manifests/v1', { method: 'DELETE' })
  expect(status).toBe(401)
  expect(text).not.toContain('frozen')
})
