import { afterAll, expect, it } from 'vitest'
import { converse } from '../helpers/converse.ts'
import { startRegistry } from '../helpers/registry.ts'
import { ask, raw } from '../helpers/requests.ts'

const registry = await startRegistry()
afterAll(() => registry[Symbol.asyncDispose]())

it.for([
  ['101 headers', Array(101).fill('X: y')],
  ['10,000 headers', Array(10_000).fill('X: y')],
  ['a header of 1 MB', [`X: ${'y'.repeat(1_000_000)}`]],
  ['a header of 32 KiB', [`X: ${'y'.repeat(32 * 1024)}`]],
  ['a name of 40 kB', [`${'X'.repeat(40_000)}: y`]],
] as const)('answers 431 to %s, and closes', async ([, headers]) => {
  const answer = await ask(registry.port, { target: '/v2/', headers })
  expect(answer.status).toBe(431)
  expect(answer.headers.connection).toBe('close')
})

it('answers 431 to a target of 40 kB', async () => {
  expect((await ask(registry.port, { target: `/v2/${'a'.repeat(40_000)}` })).status).toBe(431)
})

it.for([
  ['97 headers', Array(97).fill('X: y')],
  ['a header of 16 KiB', [`X: ${'y'.repeat(16 * 1024)}`]],
  ['__proto__ as a name', ['__proto__: x', '__proto__: y']],
  ['constructor as a name', ['constructor: x', 'toString: y', 'hasOwnProperty: z', 'prototype: p']],
  ['a byte past ASCII in a value', ['X: \xe9']],
  ['an upgrade that nobody offers', ['Upgrade: h2c', 'Upgrade: websocket']],
] as const)('answers a request with %s', async ([, headers]) => {
  const { status, body } = await ask(registry.port, { target: '/v2/', headers })
  expect([status, body.toString()]).toEqual([200, '{}'])
  expect(Object.prototype).not.toHaveProperty('x')
})

it.for(['a b', 'a\tb', '<script>', 'x'.repeat(65), 'a;b', 'é', ''])(
  'gives a request an id of its own instead of %j',
  async id => {
    const { headers } = await ask(registry.port, { target: '/v2/', headers: [`X-Request-Id: ${id}`] })
    expect(headers['x-request-id']).toMatch(/^[\w-]+$/)
    expect(headers['x-request-id']).not.toBe(id)
  },
)

it.for(['evil.example', 'evil.example:5000', '"><script>', '[::1]', 'a@b'])(
  'never repeats the host that a request claims: %s',
  async host => {
    const bytes = `POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: ${host}\r\nX-Forwarded-Host: ${host}\r\nForwarded: host="${host}"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`
    const [answer] = await converse(registry.port, bytes)
    expect(answer?.status).toBe(202)
    expect(answer?.headers.location).toMatch(/^\/v2\/a\/blobs\/uploads\/[\w-]+$/)
  },
)

const paths = [
  '/v2/',
  '/v2/_catalog',
  '/v2/a/tags/list',
  '/v2/a/manifests/t',
  '/v2/UP/manifests/t',
  '/healthz',
  '/',
  '/x',
]

it.for(paths)('says of %s that no browser may run it or take it for another type', async target => {
  const { status, headers } = await ask(registry.port, { target })
  expect(headers).toMatchObject({
    'x-content-type-options': 'nosniff',
    'content-security-policy': "sandbox; default-src 'none'",
    'cross-origin-resource-policy': 'same-origin',
  })
  expect(headers).not.toHaveProperty('access-control-allow-origin')
  expect(headers).not.toHaveProperty('x-powered-by')
  if (status >= 400) expect(headers['cache-control']).toBe('no-store')
})

it.for(paths)('answers HEAD of %s as GET, without its body', async target => {
  const get = await ask(registry.port, { target })
  const head = await fetch(`${registry.address}${target}`, { method: 'HEAD' })
  expect(head.status).toBe(get.status)
  expect(head.headers.get('content-type')).toBe(get.headers['content-type'])
  expect(head.headers.get('content-length')).toBe(get.headers['content-length'])
  const [answer] = await converse(registry.port, raw({ method: 'HEAD', target }))
  expect(answer?.body.length).toBe(0)
})

it.for(['CONNECT', 'TRACE', 'OPTIONS', 'PROPFIND', 'QUERY', 'POST', 'PATCH'])('knows no %s', async method => {
  const answers = await converse(registry.port, raw({ method, target: '/v2/', body: '' }))
  for (const { status, body } of answers) {
    expect(status).toBe(405)
    expect(body.toString()).not.toContain('Host')
  }
})
