import { afterAll, expect, it } from 'vitest'
import { memoryStore } from '../../storage/memory.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { startRegistry } from '../helpers/registry.ts'
import { ask, codeOf } from '../helpers/requests.ts'

const touched: string[] = []
const registry = await startRegistry({ store: watched(memoryStore()) })
afterAll(() => registry[Symbol.asyncDispose]())

/** A store that remembers which keys it was asked for. */
function watched(store: ObjectStore): ObjectStore {
  return {
    ...store,
    read(key, io) {
      touched.push(key)
      return store.read(key, io)
    },
    write(key, bytes, options) {
      touched.push(key)
      return store.write(key, bytes, options)
    },
    list(prefix, page) {
      touched.push(prefix)
      return store.list(prefix, page)
    },
  }
}

const hex = 'a'.repeat(64)
const tricks = [
  '..',
  '.',
  '%2e%2e',
  '%2E%2e',
  '.%2e',
  '%2e',
  '%252e%252e',
  '%c0%ae%c0%ae',
  '%uff0e',
  '..;',
  '..%00',
  '..%2f..',
  '..%5c..',
  '..\\..',
  '\\',
  '%5c',
  '%2f',
  '%2F',
  '%252f',
  '',
  '%',
  '%0',
  '%zz',
  '%00',
  '%0a',
  '%0d%0a',
  '%20',
  '%7f',
  '%ff',
  '%e2%80%ae',
  '%41',
  '%61',
  '%2541',
  '~',
  '*',
  '"',
  "'",
  '<',
  '>',
  '|',
  '^',
  '`',
  '{',
  '}',
  '[',
  ']',
  '(',
  ')',
  '$',
  '&',
  ';',
  'a;b',
  'a+b',
]
const frames = [
  (trick: string) => `/v2/${trick}/manifests/latest`,
  (trick: string) => `/v2/a/${trick}/tags/list`,
  (trick: string) => `/v2/${trick}/a/blobs/sha256:${hex}`,
  (trick: string) => `/v2/a/${trick}/${trick}/blobs/uploads/x`,
  (trick: string) => `/v2/a/manifests/${trick}`,
  (trick: string) => `/v2/a/blobs/${trick}`,
  (trick: string) => `/v2/${trick}/_catalog`,
  (trick: string) => `/v2/${trick}`,
]
const addresses = frames.flatMap(frame => tricks.map(frame)).filter(path => path !== '/v2/')

it('finds nothing behind any spelling of a path, and never asks the store', async () => {
  touched.length = 0
  for (const target of addresses) {
    const answer = await ask(registry.port, { target })
    expect([400, 404], target).toContain(answer.status)
    expect(['NAME_INVALID', 'DIGEST_INVALID', 'MANIFEST_INVALID'], target).toContain(codeOf(answer))
  }
  expect(touched).toEqual([])
})

it.for([
  '/v2/%5fcatalog',
  '/v2/./_catalog',
  '/v2//_catalog',
  '/v2/_catalog/',
  '/v2/a/../_catalog',
  '/v2/..',
  '/v2/../healthz',
  '/v2/a%2fb/tags/list',
  '/v2/a\\b/tags/list',
  '/v2/a%00/tags/list',
  '/v2/%c3%a9/tags/list',
  `/v2/a/blobs/sha256%253a${hex}`,
  '/v2/a/tags/list%3fn=1',
  '/v2/a/tags/list#x',
])('answers 404 NAME_INVALID to %s', async target => {
  const answer = await ask(registry.port, { target })
  expect([answer.status, codeOf(answer)]).toEqual([404, 'NAME_INVALID'])
})

it.for([
  '//v2/',
  '/V2/',
  '/v2;/',
  '/%76%32/',
  '/./v2/',
  '/x/../v2/',
  '/healthz/',
  '/%2e%2e/etc/passwd',
  '/v1/',
  '/\\v2/',
])('knows no %s', async target => {
  const { status, body } = await ask(registry.port, { target })
  expect([status, body.toString()]).toEqual([404, '{"message":"no such address"}'])
})

it.for(['/v2/\0', '/v2/\xe9/tags/list', '/v2/\x7f', 'v2/', '?', '\\v2\\'])(
  'refuses bytes that are no target: %j',
  async target => {
    const answer = await ask(registry.port, { target })
    expect([400, 404]).toContain(answer.status)
  },
)

it.for([
  `/v2/a/blobs/sha256%3a${hex}`,
  `/v2/a/blobs/sha256%3A${hex}`,
  `http://other/v2/a/blobs/sha256:${hex}`,
])('reads the digest in %s', async target => {
  const answer = await ask(registry.port, { target })
  expect([answer.status, codeOf(answer)]).toEqual([404, 'NAME_UNKNOWN'])
})

it.for([
  '-1',
  '1e309',
  '',
  '+1',
  '0x10',
  '1.5',
  ' 1',
  '%00',
  '1%00',
  '99999999999999999999',
  'NaN',
  'Infinity',
  '١',
])('answers 400 to a page of %j entries', async n => {
  for (const path of ['/v2/_catalog', '/v2/a/tags/list', `/v2/a/referrers/sha256:${hex}`, '/v1/search'])
    expect((await ask(registry.port, { target: `${path}?n=${encodeURI(n)}` })).status).toBe(400)
})

it.for([
  'n=2147483648',
  'n=999999999999999',
  'n=0',
  `n=1${'&n=2147483648'.repeat(500)}`,
  'last=%00',
  'last=%ff',
  'last=..%2f..',
  '%',
  '%00=%ff',
  '&&&===',
  '__proto__=1',
])('answers a page of ?%s', async query => {
  const { status, body } = await ask(registry.port, { target: `/v2/_catalog?${query}` })
  expect([status, body.toString()]).toEqual([200, '{"repositories":[]}'])
})
