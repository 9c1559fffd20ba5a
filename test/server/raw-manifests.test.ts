import { createHash } from 'node:crypto'
import { afterAll, describe, expect, it } from 'vitest'
import { startRegistry } from '../helpers/registry.ts'
import { ask, codeOf } from '../helpers/requests.ts'

const registry = await startRegistry()
afterAll(() => registry[Symbol.asyncDispose]())

const image = 'application/vnd.oci.image.manifest.v1+json'
const index = 'application/vnd.oci.image.index.v1+json'
const digest = `sha256:${'a'.repeat(64)}`
const descriptor = { mediaType: image, digest, size: 1 }
const emptyIndex = { schemaVersion: 2, mediaType: index, manifests: [] }

const push = (body: string | Buffer, type: string | undefined = index, tag = 't') =>
  ask(registry.port, {
    method: 'PUT',
    target: `/v2/a/manifests/${tag}`,
    headers: type === '' ? [] : [`Content-Type: ${type}`],
    body,
  })

/** The fields of an index, as they are written. */
const indexWith = (fields: string) => `{"schemaVersion":2,"manifests":[],${fields}}`
const child = (fields: object) => JSON.stringify({ ...emptyIndex, manifests: [{ ...descriptor, ...fields }] })
const nested = (levels: number) => indexWith(`"x":${'['.repeat(levels)}${']'.repeat(levels)}`)

describe('a manifest that is a trap', () => {
  it.for([
    ['a million open brackets', '['.repeat(1e6)],
    ['a million open braces', '{"a":'.repeat(5e5)],
    ['a million lists in each other', nested(1e6)],
    ['65 levels', nested(64)],
    ['10,001 children', JSON.stringify({ ...emptyIndex, manifests: Array(10_001).fill(descriptor) })],
    ['a field twice', indexWith('"manifests":[]')],
    ['a field twice, once with escapes', indexWith(String.raw`"m\u0061nifests":[]`)],
    ['a field twice, once in capitals', indexWith('"Manifests":[]')],
    ['a field that is only in capitals', '{"schemaVersion":2,"MANIFESTS":[]}'],
    ['an unknown field twice', indexWith('"x":1,"x":2')],
    ['__proto__ twice', indexWith('"__proto__":1,"__proto__":2')],
    ['an image that is an index', indexWith('"layers":[]')],
    ['an index with a config', indexWith('"config":{}')],
    ['children that are no list', '{"schemaVersion":2,"manifests":{"length":1}}'],
    ['children that are a text', '{"schemaVersion":2,"manifests":"[]"}'],
    ['a child that is null', '{"schemaVersion":2,"manifests":[null]}'],
    ['a child that is a text', `{"schemaVersion":2,"manifests":["${digest}"]}`],
    ['a child without a digest', '{"schemaVersion":2,"manifests":[{"mediaType":"a","size":1}]}'],
    ['a digest in a list', child({ digest: [digest] })],
    ['a digest in an object', child({ digest: { toString: digest } })],
    ['a digest that leads elsewhere', child({ digest: 'sha256:../../../etc/passwd' })],
    ['a digest of an algorithm that is broken', child({ digest: `md5:${'a'.repeat(32)}` })],
    ['a size of 1e400', child({ size: 7 }).replace('"size":7', '"size":1e400')],
    ['a size past 2^53', child({ size: 7 }).replace('"size":7', '"size":9007199254740993')],
    ['a size that is negative', child({ size: -1 })],
    ['a size with a fraction', child({ size: 1.5 })],
    ['a size that is a text', child({ size: '1' })],
    ['a type of a child that is a number', child({ mediaType: 1 })],
    ['a subject that is a list', indexWith('"subject":[]')],
    ['a subject that is a text', indexWith(`"subject":"${digest}"`)],
    ['an artifactType that is a number', indexWith('"artifactType":1')],
    ['annotations that are a list', indexWith('"annotations":["a"]')],
    ['an annotation that is an object', indexWith('"annotations":{"a":{}}')],
    ['a schemaVersion that is a text', '{"schemaVersion":"2","manifests":[]}'],
    ['a schemaVersion of 3', '{"schemaVersion":3,"manifests":[]}'],
    ['a schemaVersion of 1', '{"schemaVersion":1,"manifests":[]}'],
    ['a mediaType that is a list', indexWith(`"mediaType":["${index}"]`)],
    ['nothing', ''],
    ['null', 'null'],
    ['a list', '[]'],
    ['a number', '1'],
    ['a text', '"{}"'],
    ['two objects', '{}{}'],
    ['a comma too many', '{"manifests":[],}'],
    ['a comment', '{/**/"manifests":[]}'],
    ['NaN', indexWith('"x":NaN')],
    ['a byte order mark', '\ufeff{"schemaVersion":2,"manifests":[]}'],
    ['UTF-16', Buffer.from('{"schemaVersion":2,"manifests":[]}', 'utf16le')],
    ['bytes that are not UTF-8', Buffer.from(indexWith('"x":"\xff"'), 'latin1')],
    ['NUL behind the end', '{"schemaVersion":2,"manifests":[]}\0'],
    ['HTML', '<!doctype html><script>alert(1)</script>'],
  ] as const)('is refused: %s', async ([, body]) => {
    const startedMs = performance.now()
    const answer = await push(body)
    expect([answer.status, codeOf(answer)]).toEqual([400, 'MANIFEST_INVALID'])
    expect(performance.now() - startedMs).toBeLessThan(1000)
  })

  it.for([
    ['64 levels', nested(63)],
    ['__proto__ as a field', indexWith('"__proto__":{"config":1,"isAdmin":true}')],
    ['constructor as a field', indexWith('"constructor":{"prototype":{"isAdmin":true}}')],
    ['an annotation called __proto__', indexWith('"annotations":{"__proto__":"x"}')],
    ['half a surrogate pair', indexWith(String.raw`"annotations":{"a":"\ud800"}`)],
    ['brackets in a text', indexWith(`"x":"${'['.repeat(1000)}"`)],
    [
      '10,000 children that are not here',
      JSON.stringify({ ...emptyIndex, manifests: Array(10_000).fill(descriptor) }),
    ],
  ] as const)('is stored byte for byte when it is none: %s', async ([, body]) => {
    expect((await push(body)).status).toBe(201)
    const stored = await ask(registry.port, { target: '/v2/a/manifests/t' })
    expect(stored.body.equals(Buffer.from(body))).toBe(true)
    expect(Object.prototype).not.toHaveProperty('isAdmin')
  })

  it('may lie 50 levels deep in others', async () => {
    let below: object[] = []
    for (let level = 0; level < 50; level++) {
      const body = JSON.stringify({ ...emptyIndex, manifests: below, annotations: { level: String(level) } })
      const answer = await push(body, index, 'deep')
      expect(answer.status).toBe(201)
      below = [{ mediaType: index, digest: answer.headers['docker-content-digest'], size: body.length }]
    }
  })

  it('stays what it was pushed as', async () => {
    const body = '{"schemaVersion":2,"x":"same bytes"}'
    const typeOf = (kind: string) => `application/vnd.test.${kind}+json`
    expect((await push(body, typeOf('one'))).status).toBe(201)
    expect((await push(body, typeOf('two'))).status).toBe(400)
  })
})

describe('the type of a manifest', () => {
  const body = '{"schemaVersion":2,"manifests":[]}'

  it.for([
    'text/html',
    'text/html+json',
    'text/html; application/vnd.oci.image.index.v1+json',
    'application/xhtml+xml',
    'image/svg+xml',
    'text/xml',
    'application/javascript',
    'text/javascript',
    'application/pdf',
    'multipart/x-mixed-replace',
    'application/octet-stream',
    'application/json',
    'text/plain',
    `${index}, text/html`,
    `text/html, ${index}`,
    `${index}\ttext/html`,
    `"${index}"`,
    'application/+json',
    `application/${'a'.repeat(200)}+json`,
    'application/a b+json',
    'application/<script>+json',
    '*/*',
    '+json',
    'json',
    image,
    'application/vnd.docker.distribution.manifest.v1+json',
    'application/vnd.docker.distribution.manifest.v1+prettyjws',
  ])('is refused: %s', async type => {
    const answer = await push(body, type)
    expect([answer.status, codeOf(answer)]).toEqual([400, 'MANIFEST_INVALID'])
  })

  it.for([
    'text/html',
    'application/x+json\r\nX-Injected: y',
    'application/x+json\0',
    'application/é+json',
    image,
  ])('is refused where the body says it: %j', async mediaType => {
    for (const type of ['', index])
      expect((await push(JSON.stringify({ ...emptyIndex, mediaType }), type)).status).toBe(400)
  })

  it.for([
    [index, index],
    [`${index}; charset=utf-8`, index],
    [` ${index.toUpperCase()} `, index],
    ['', index],
    ['application/vnd.cncf.something.v1+json', 'application/vnd.cncf.something.v1+json'],
  ] as const)('of %j is answered as %j, which no browser runs', async ([type, answered], { task }) => {
    const own = createHash('sha256').update(task.name).digest('hex').slice(0, 8)
    expect((await push(indexWith(`"x":"<script>${own}"`), type, own)).status).toBe(201)
    const { headers } = await ask(registry.port, { target: `/v2/a/manifests/${own}` })
    expect(headers).toMatchObject({
      'content-type': answered,
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'",
    })
  })
})
