import { afterAll, expect, it } from 'vitest'
import { parseDigest, parseRepositoryName, parseTag } from '../../oci/names.ts'
import { startRegistry } from '../helpers/registry.ts'
import { ask, codeOf } from '../helpers/requests.ts'

const registry = await startRegistry()
afterAll(() => registry[Symbol.asyncDispose]())

const hex = 'a'.repeat(64)

it.for([
  'A',
  'aB',
  '_a',
  'a_',
  '.a',
  'a.',
  '-a',
  'a-',
  'a..b',
  'a___b',
  'a._b',
  'a_-b',
  'a.-b',
  'a/B',
  'a/_b',
  'a/-',
  'a+b',
  'a@b',
  'a:b',
  'a,b',
  'a~b',
  'a!b',
  'a=b',
  'a'.repeat(201),
  Array(33).fill('a').join('/'),
  '_catalog',
])('answers 400 NAME_INVALID to the name %s', async name => {
  for (const rest of [
    'manifests/latest',
    'tags/list',
    `blobs/sha256:${hex}`,
    `referrers/sha256:${hex}`,
    'blobs/uploads/x',
  ]) {
    const answer = await ask(registry.port, { target: `/v2/${name}/${rest}` })
    expect([answer.status, codeOf(answer)]).toEqual([400, 'NAME_INVALID'])
  }
})

it.for(['а', 'a\u0301', 'ａ', 'ı', 'K', 'ß', 'a\u200b', 'a\u202e'])('has no repository %j', async name => {
  for (const spelled of [encodeURIComponent(name), name]) {
    const target = Buffer.from(`/v2/${spelled}/tags/list`).toString('latin1')
    expect([400, 404]).toContain((await ask(registry.port, { target })).status)
  }
  expect(() => parseRepositoryName(name)).toThrow('invalid repository name')
})

it.for([
  'a',
  '0',
  'a.b',
  'a_b',
  'a__b',
  'a-b',
  'a---b',
  'a'.repeat(200),
  Array(32).fill('a').join('/'),
  'blobs',
  'manifests',
  'tags',
  'tags/list',
  'uploads',
  'blobs/uploads',
  'a/blobs',
  'manifests/latest',
  'referrers',
  'v2',
  'v2/v2',
  'list',
  'search',
  'a/blobs/uploads',
  'constructor',
  'tags/list/tags/list',
  'blobs/sha256',
])('keeps uploads and listings of a repository called %s apart', async name => {
  const started = await ask(registry.port, { method: 'POST', target: `/v2/${name}/blobs/uploads/`, body: '' })
  expect([started.status, started.headers.location?.startsWith(`/v2/${name}/blobs/uploads/`)]).toEqual([
    202,
    true,
  ])
  const listed = await ask(registry.port, { target: `/v2/${name}/tags/list` })
  expect([listed.status, codeOf(listed)]).toEqual([404, 'NAME_UNKNOWN'])
  expect(parseRepositoryName(name)).toBe(name)
})

const digests = [
  `sha256:${'A'.repeat(64)}`,
  `SHA256:${hex}`,
  `sha256:${hex}a`,
  `sha256:${hex.slice(1)}`,
  'sha256:',
  ':',
  `:${hex}`,
  `sha256:${'g'.repeat(64)}`,
  `md5:${'a'.repeat(32)}`,
  `sha1:${'a'.repeat(40)}`,
  `sha384:${'a'.repeat(96)}`,
  `sha512:${hex}`,
  `sha256:${hex}:${hex}`,
  `sha256+b64:${hex}`,
  `sha256:${hex}\n`,
  `sha256: ${hex}`,
  `sha256:${'a'.repeat(1000)}`,
]

it.for(digests)('takes no digest %j', async digest => {
  expect(() => parseDigest(digest)).toThrow('invalid digest')
  const word = encodeURIComponent(digest)
  const query = await ask(registry.port, {
    method: 'POST',
    target: `/v2/a/blobs/uploads/?digest=${word}`,
    body: 'x',
  })
  expect([query.status, codeOf(query)]).toEqual([400, 'DIGEST_INVALID'])
  const mount = await ask(registry.port, {
    method: 'POST',
    target: `/v2/a/blobs/uploads/?mount=${word}&from=b`,
    body: '',
  })
  expect([mount.status, codeOf(mount)]).toEqual([400, 'DIGEST_INVALID'])
  for (const kind of ['blobs', 'manifests', 'referrers'])
    expect([400, 404]).toContain((await ask(registry.port, { target: `/v2/a/${kind}/${word}` })).status)
})

it.for(['sha256:../../etc/passwd', 'sha256:..', `sha256:${hex}/..`, '..'])(
  'reads no path in the digest %s',
  async digest => {
    expect([400, 404]).toContain((await ask(registry.port, { target: `/v2/a/blobs/${digest}` })).status)
  },
)

const tags = ['.a', '-a', 'a'.repeat(129), 'a+b', 'a@b', 'a,b', 'a!', 'a~b', 'a=b']

it.for(tags)('takes no tag %s', async tag => {
  for (const method of ['GET', 'PUT', 'DELETE']) {
    const answer = await ask(registry.port, { method, target: `/v2/a/manifests/${tag}`, body: '{}' })
    expect([answer.status, codeOf(answer)]).toEqual([400, 'MANIFEST_INVALID'])
  }
  const target = `/v2/a/manifests/sha256:${hex}?tag=ok&tag=${encodeURIComponent(tag)}`
  const more = await ask(registry.port, { method: 'PUT', target, body: '{}' })
  expect([more.status, codeOf(more)]).toEqual([400, 'MANIFEST_INVALID'])
})

it.for(['', ' ', 'a b', 'a\n', 'a\0', 'a/b', '../a', 'é', 'a:b'])('takes no further tag %j', async tag => {
  const target = `/v2/a/manifests/t?tag=${encodeURIComponent(tag)}`
  const answer = await ask(registry.port, { method: 'PUT', target, body: '{}' })
  expect([answer.status, codeOf(answer)]).toEqual([400, 'MANIFEST_INVALID'])
  expect(() => parseTag(tag)).toThrow('invalid tag')
})

it.for(['_', 'A', '0', 'a.b-c_d', 'latest', 'a'.repeat(128), 'constructor', '__proto__', 'list'])(
  'has no manifest at the tag %s, and could',
  async tag => {
    const answer = await ask(registry.port, { target: `/v2/a/manifests/${tag}` })
    expect([answer.status, codeOf(answer)]).toEqual([404, 'NAME_UNKNOWN'])
  },
)
