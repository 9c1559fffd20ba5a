/** RFC 9110, 13.1: what a client says must be so before it gets or changes anything. */
import { expect, it } from 'vitest'
import { content } from '../helpers/blob.ts'
import { type Image, image } from '../helpers/images.ts'
import { manifestStatus, pushImage, type Repository, tagsOf } from '../helpers/push.ts'
import { startRegistry } from '../helpers/registry.ts'
import { finish, startUpload } from '../helpers/upload.ts'

const first = image({ seed: 'first', layers: [10] })
const second = image({ seed: 'second', layers: [10] })
const third = image({ seed: 'third', layers: [10] })
const quoted = ({ descriptor }: Image) => `"${descriptor.digest}"`

/** A registry with `first` at the tag `first`, and all that the other two need but themselves. */
async function prepared() {
  const registry = await startRegistry()
  const repository: Repository = { address: registry.address, name: 'conditions' }
  await pushImage(repository, first, 'first')
  for (const { blobs } of [second, third])
    for (const { bytes, descriptor } of blobs)
      expect((await finish(await startUpload(repository), descriptor.digest, bytes)).status).toBe(201)
  return { registry, repository }
}

function put(
  { address, name }: Repository,
  pushed: Image,
  target: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return fetch(new URL(`/v2/${name}/manifests/${target}`, address), {
    method: 'PUT',
    headers: { 'Content-Type': pushed.descriptor.mediaType, ...headers },
    body: new Uint8Array(pushed.bytes),
  })
}

async function digestAt({ address, name }: Repository, reference: string): Promise<string | null> {
  const answer = await fetch(new URL(`/v2/${name}/manifests/${reference}`, address), { method: 'HEAD' })
  return answer.headers.get('Docker-Content-Digest')
}

it.for([
  ['where it is the one that is named', { 'If-Match': quoted(first) }, 'first'],
  [
    'where it is one of those that are named',
    { 'If-Match': `${quoted(third)}, W/${quoted(first)}` },
    'first',
  ],
  ['where it is anything', { 'If-Match': '*' }, 'first'],
  ['where there was none', { 'If-None-Match': '*' }, 'new'],
] as const)('moves a tag %s', async ([, headers, tag]) => {
  const { registry, repository } = await prepared()
  await using _ = registry
  expect((await put(repository, second, tag, headers)).status).toBe(201)
  expect(await digestAt(repository, tag)).toBe(second.descriptor.digest)
})

it.for([
  ['is another', { 'If-Match': quoted(third) }, 'first', first.descriptor.digest],
  ['is there', { 'If-None-Match': '*' }, 'first', first.descriptor.digest],
  ['is not there', { 'If-Match': quoted(first) }, 'new', null],
  ['is not there at all', { 'If-Match': '*' }, 'new', null],
] as const)('answers 412 and writes nothing when a tag %s', async ([, headers, tag, stays]) => {
  const { registry, repository } = await prepared()
  await using _ = registry
  const answer = await put(repository, second, tag, headers)
  expect(answer.status).toBe(412)
  expect(await answer.json()).toMatchObject({ errors: [{ detail: { tag, digest: stays } }] })
  expect(await digestAt(repository, tag)).toBe(stays)
  expect(await manifestStatus(repository, second.descriptor.digest)).toBe(404)
})

it.for([
  ['If-None-Match: *', 201, 412],
  ['If-Match: *', 412, 201],
] as const)(
  'asks of a push by digest without tags for the manifest itself: %s',
  async ([header, absent, there]) => {
    const { registry, repository } = await prepared()
    await using _ = registry
    const [name = '', value = ''] = header.split(': ')
    const before = await put(repository, second, second.descriptor.digest, { [name]: value })
    expect(before.status).toBe(absent)
    expect(await manifestStatus(repository, second.descriptor.digest)).toBe(absent === 201 ? 200 : 404)
    expect((await put(repository, first, first.descriptor.digest, { [name]: value })).status).toBe(there)
  },
)

it('points several tags at once where each is as it must be', async () => {
  const { registry, repository } = await prepared()
  await using _ = registry
  const { digest } = second.descriptor
  const answer = await put(repository, second, `${digest}?tag=a&tag=b`, { 'If-None-Match': '*' })
  expect(answer.status).toBe(201)
  expect(await tagsOf(repository)).toEqual(['a', 'b', 'first'])
  expect(await digestAt(repository, 'b')).toBe(digest)
})

it('writes none of several tags when one is not as it must be', async () => {
  const { registry, repository } = await prepared()
  await using _ = registry
  const { digest } = second.descriptor
  const answer = await put(repository, second, `${digest}?tag=a&tag=first&tag=z`, { 'If-None-Match': '*' })
  expect(answer.status).toBe(412)
  expect(await tagsOf(repository)).toEqual(['first'])
  expect(await digestAt(repository, 'first')).toBe(first.descriptor.digest)
  expect(await manifestStatus(repository, digest)).toBe(404)
})

it('refuses to push unless something in particular is not there', async () => {
  const { registry, repository } = await prepared()
  await using _ = registry
  const answer = await put(repository, second, 'first', { 'If-None-Match': quoted(third) })
  expect(answer.status).toBe(400)
  expect(await digestAt(repository, 'first')).toBe(first.descriptor.digest)
})

it.for(['HEAD', 'GET'])(
  'answers %s with 304 where the client has it, and with all of it otherwise',
  async method => {
    const { registry, repository } = await prepared()
    await using _ = registry
    const [layer] = first.blobs
    if (!layer) throw new Error('the image has no blob')
    const { digest } = first.descriptor
    const targets = [
      ['manifests/first', digest, first.descriptor.size],
      [`manifests/${digest}`, digest, first.descriptor.size],
      [`blobs/${layer.descriptor.digest}`, layer.descriptor.digest, layer.descriptor.size],
    ] as const
    for (const [target, tag, size] of targets) {
      const url = new URL(`/v2/${repository.name}/${target}`, repository.address)
      for (const has of [`"${tag}"`, `W/"${tag}"`, `"x", "${tag}"`, '*']) {
        const answer = await fetch(url, { method, headers: { 'If-None-Match': has } })
        expect([target, has, answer.status]).toEqual([target, has, 304])
        expect(answer.headers.get('ETag')).toBe(`"${tag}"`)
        expect(await answer.text()).toBe('')
      }
      const other = content('other', 1).digest
      const answer = await fetch(url, { method, headers: { 'If-None-Match': `"${other}", "x"` } })
      expect(answer.status).toBe(200)
      expect(answer.headers.get('Content-Length')).toBe(String(size))
    }
  },
)
