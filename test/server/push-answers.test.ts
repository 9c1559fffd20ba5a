/** What the answers to a push say (distribution specification, Pushing Blobs and Pushing Manifests). */
import { expect, it } from 'vitest'
import { content, fetched } from '../helpers/blob.ts'
import { artifact, type Content, digest, image, mediaTypes } from '../helpers/images.ts'
import { pushImage, type Repository } from '../helpers/push.ts'
import { startRegistry } from '../helpers/registry.ts'

const subject = image({ seed: 'subject', layers: [10] })
/** Names nothing, so nothing has to be there before it. */
const index = emptyIndex()

function emptyIndex(): Content {
  const mediaType = mediaTypes.oci.index
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests: [] }))
  return { bytes, descriptor: { mediaType, digest: digest(bytes), size: bytes.length } }
}

function put(
  { address, name }: Repository,
  { descriptor, bytes }: Content,
  target: string,
): Promise<Response> {
  return fetch(new URL(`/v2/${name}/manifests/${target}`, address), {
    method: 'PUT',
    headers: { 'Content-Type': descriptor.mediaType },
    body: new Uint8Array(bytes),
  })
}

it.for([undefined, 'https://registry.test:8443'])(
  'leads from each step to the next with url %s',
  async url => {
    await using registry = await startRegistry({ settings: url === undefined ? {} : { url } })
    const { address } = registry
    const repository: Repository = { address, name: 'team/app' }
    const blob = content('steps', 100)
    /** What a client makes of a Location, asked of the registry that runs here. */
    const reached = (location: string | null) => {
      const { origin, pathname } = new URL(location ?? '', address)
      expect(origin).toBe(url ?? address)
      return new URL(pathname, address)
    }

    const started = await fetch(new URL('/v2/team/app/blobs/uploads/', address), { method: 'POST' })
    expect(started.status).toBe(202)
    expect(started.headers.get('OCI-Chunk-Min-Length')).toBe('1')
    expect(started.headers.get('Range')).toBe('0-0')
    const upload = reached(started.headers.get('Location'))

    const grown = await fetch(upload, { method: 'PATCH', body: new Uint8Array(blob.bytes.subarray(0, 60)) })
    expect(grown.status).toBe(202)
    expect(grown.headers.get('Range')).toBe('0-59')
    const rest = reached(grown.headers.get('Location'))

    rest.searchParams.set('digest', blob.digest)
    const finished = await fetch(rest, { method: 'PUT', body: new Uint8Array(blob.bytes.subarray(60)) })
    expect(finished.status).toBe(201)
    expect(finished.headers.get('Docker-Content-Digest')).toBe(blob.digest)
    expect(reached(finished.headers.get('Location')).pathname).toBe(`/v2/team/app/blobs/${blob.digest}`)
    expect(await fetched(repository, blob)).toBe(blob.digest)

    const answer = await put(repository, index, 'latest')
    expect(answer.status).toBe(201)
    expect(answer.headers.get('Docker-Content-Digest')).toBe(index.descriptor.digest)
    const location = reached(answer.headers.get('Location'))
    expect(location.pathname).toBe(`/v2/team/app/manifests/${index.descriptor.digest}`)
    expect(await (await fetch(location)).text()).toBe(index.bytes.toString())
  },
)

it('names the index of what was pushed, whether it is there or not', async () => {
  await using registry = await startRegistry()
  const repository: Repository = { address: registry.address, name: 'team/app' }
  const signature = artifact(index, 'application/test', 'signed')
  await pushImage(repository, signature)
  for (const target of ['signature', signature.descriptor.digest]) {
    const answer = await put(repository, signature, target)
    expect(answer.status).toBe(201)
    expect(answer.headers.get('OCI-Subject')).toBe(index.descriptor.digest)
    expect(answer.headers.get('OCI-Tag')).toBeNull()
  }
  expect((await put(repository, index, 'latest')).headers.get('OCI-Subject')).toBeNull()
})

it('names the tags that a push by digest has made', async () => {
  await using registry = await startRegistry()
  const repository: Repository = { address: registry.address, name: 'team/app' }
  await pushImage(repository, subject)
  const answer = await put(repository, subject, `${subject.descriptor.digest}?tag=v1&tag=latest`)
  expect(answer.status).toBe(201)
  expect(answer.headers.get('OCI-Tag')).toBe('v1, latest')
})
