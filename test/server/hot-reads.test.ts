/** What is read again and again costs the store nothing but a look whether it has changed. */
import { expect, it } from 'vitest'
import type { ObjectStore } from '../../storage/object-store.ts'
import { setAccess } from '../helpers/access.ts'
import { ownedFolder } from '../helpers/folder.ts'
import { digest, image, mediaTypes, randomBytes } from '../helpers/images.ts'
import { manifestStatus, pushImage, type Repository } from '../helpers/push.ts'
import { startRegistry } from '../helpers/registry.ts'
import { until } from '../helpers/until.ts'
import { finish, startUpload } from '../helpers/upload.ts'
import { io } from '../helpers/waiting.ts'

/** The same store, and the names of its methods in the order in which they were called. */
function watched(store: ObjectStore): { readonly store: ObjectStore; readonly calls: string[] } {
  const calls: string[] = []
  const methods = Object.entries(store).map(([name, method]) => {
    const counted = (...args: unknown[]) => {
      calls.push(name)
      return method(...args)
    }
    return [name, counted]
  })
  return { store: Object.fromEntries(methods) as ObjectStore, calls }
}

/** A file that changed a moment ago may change again without looking different, so until then it is read each time. */
async function settled(store: ObjectStore): Promise<void> {
  await until('the pushes are in the audit', async () => {
    const { keys } = await store.list('audit/', { ...io, limit: 1 })
    return keys.length > 0
  })
  await until('every record can be told from its next', async () => {
    const { keys } = await store.list('', { ...io, limit: 1000 })
    const records = await Promise.all(keys.map(key => store.read(key, io)))
    return records.every(record => record?.version !== undefined)
  })
}

const pushed = image({ seed: 'hot', layers: [10] })
/** One that lies in its link, and one that is content. */
const inline = randomBytes('inline', 1000)
const small = randomBytes('small', 60_000)

it.for([
  // Access is looked at each time, and one record more: the tag, but not the manifest that was looked at through it.
  ['GET of a manifest by tag', 'GET', 'manifests/latest', pushed.bytes],
  ['GET of a manifest by digest', 'GET', `manifests/${pushed.descriptor.digest}`, pushed.bytes],
  ['HEAD of a manifest', 'HEAD', 'manifests/latest', Buffer.alloc(0)],
  ['HEAD of a blob', 'HEAD', `blobs/${digest(small)}`, Buffer.alloc(0)],
  ['GET of a blob in its link', 'GET', `blobs/${digest(inline)}`, inline],
  ['GET of a small blob', 'GET', `blobs/${digest(small)}`, small],
] as const)('asks the store for nothing but two looks at the second %s', async ([, method, path, body]) => {
  const folder = await ownedFolder()
  const { store, calls } = watched(folder.store)
  // The parent of a server makes what is asked for each time.
  await setAccess(folder.store, {})
  await using registry = await startRegistry({ store })
  const repository: Repository = { address: registry.address, name: 'hot/reads' }
  await pushImage(repository, pushed, 'latest')
  for (const bytes of [inline, small])
    expect((await finish(await startUpload(repository), digest(bytes), bytes)).status).toBe(201)
  await settled(folder.store)
  const read = async () => {
    const answer = await fetch(new URL(`/v2/${repository.name}/${path}`, registry.address), { method })
    expect(answer.status).toBe(200)
    expect(Buffer.from(await answer.arrayBuffer()).equals(body)).toBe(true)
  }

  await read()
  expect(calls).toContain('read')
  calls.length = 0
  await read()
  expect(calls).toEqual(['isCurrent', 'isCurrent'])
})

it('serves no manifest that another process has deleted', async () => {
  const folder = await ownedFolder()
  await using registry = await startRegistry({ store: folder.store })
  await using other = await startRegistry({ store: await folder.beside() })
  const repository: Repository = { address: registry.address, name: 'hot/reads' }
  await pushImage(repository, pushed, 'latest')
  await settled(folder.store)
  const statuses = () =>
    Promise.all(['latest', pushed.descriptor.digest].map(at => manifestStatus(repository, at)))

  expect(await statuses()).toEqual([200, 200])
  const url = new URL(`/v2/hot/reads/manifests/${pushed.descriptor.digest}`, other.address)
  const deleted = await fetch(url, { method: 'DELETE' })
  expect(deleted.status).toBe(202)
  expect(await statuses()).toEqual([404, 404])
})

it('serves the type of a manifest that another process has deleted and pushed as something else', async () => {
  const folder = await ownedFolder()
  await using registry = await startRegistry({ store: folder.store })
  await using other = await startRegistry({ store: await folder.beside() })
  const body = '{"schemaVersion":2,"manifests":[]}'
  const at = ({ address }: { address: string }, reference: string) =>
    new URL(`/v2/hot/types/manifests/${reference}`, address)
  const push = async (type: string) => {
    const headers = { 'Content-Type': type }
    expect((await fetch(at(other, 'latest'), { method: 'PUT', headers, body })).status).toBe(201)
  }
  const types = () =>
    Promise.all(
      [registry, other].map(async each => (await fetch(at(each, 'latest'))).headers.get('Content-Type')),
    )

  for (const type of [mediaTypes.docker.index, mediaTypes.oci.index, mediaTypes.docker.index]) {
    await push(type)
    await settled(folder.store)
    expect(await types()).toEqual([type, type])
    const gone = await fetch(at(other, digest(Buffer.from(body))), { method: 'DELETE' })
    expect(gone.status).toBe(202)
  }
})

it('reads again what another process has changed', async () => {
  const folder = await ownedFolder()
  const { store, calls } = watched(folder.store)
  await using registry = await startRegistry({ store })
  await using other = await startRegistry({ store: await folder.beside() })
  const next = image({ seed: 'next', layers: [10] })
  const path = '/v2/hot/reads/manifests/latest'
  const tagged = async () =>
    (await fetch(new URL(path, registry.address))).headers.get('Docker-Content-Digest')

  await pushImage({ address: registry.address, name: 'hot/reads' }, pushed, 'latest')
  await settled(folder.store)
  expect(await tagged()).toBe(pushed.descriptor.digest)
  await pushImage({ address: other.address, name: 'hot/reads' }, next, 'latest')
  calls.length = 0
  expect(await tagged()).toBe(next.descriptor.digest)
  expect(calls).toContain('read')
})
