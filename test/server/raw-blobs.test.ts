import { afterAll, expect, it } from 'vitest'
import { digest } from '../helpers/images.ts'
import { startRegistry } from '../helpers/registry.ts'
import { ask, codeOf } from '../helpers/requests.ts'

const registry = await startRegistry()
afterAll(() => registry[Symbol.asyncDispose]())

const page = '<!doctype html><script>alert(document.domain)</script>'

async function pushBlob(name: string, bytes: string): Promise<string> {
  const pushed = digest(bytes)
  const target = `/v2/${name}/blobs/uploads/?digest=${pushed}`
  expect((await ask(registry.port, { method: 'POST', target, body: bytes })).status).toBe(201)
  return pushed
}

const asPage = {
  'content-type': 'application/octet-stream',
  'content-disposition': 'attachment',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "sandbox; default-src 'none'",
  'cross-origin-resource-policy': 'same-origin',
}

it.for([page, page.repeat(2000)])(
  'hands out a page as bytes to be saved, whatever is asked for',
  async bytes => {
    const target = `/v2/mine/blobs/${await pushBlob('mine', bytes)}`
    const whole = await ask(registry.port, { target, headers: ['Accept: text/html'] })
    expect([whole.status, whole.headers, whole.body.toString()]).toMatchObject([200, asPage, bytes])
    const part = await ask(registry.port, { target, headers: ['Range: bytes=0-9'] })
    expect([part.status, part.headers, part.body.toString()]).toMatchObject([206, asPage, page.slice(0, 10)])
    const same = await ask(registry.port, { target, headers: ['If-None-Match: *'] })
    expect([same.status, same.body.length]).toEqual([304, 0])
    const beyond = await ask(registry.port, { target, headers: ['Range: bytes=999999-'] })
    expect([beyond.status, beyond.headers['content-type'], beyond.headers['x-content-type-options']]).toEqual(
      [416, 'application/json', 'nosniff'],
    )
  },
)

it.for([
  ['bytes=-0', 416],
  ['bytes=5-4', 416],
  ['bytes=99999999999999999999-', 416],
  ['bytes=--1', 416],
  ['bytes=0-99999999999999999999', 206],
  ['bytes=-99999999999999999999', 206],
  [`bytes=${'0-1,'.repeat(5000)}0-1`, 200],
  ['pages=1-2', 200],
] as const)('answers the range %s with %i', async ([range, status]) => {
  const target = `/v2/mine/blobs/${await pushBlob('mine', page)}`
  const answer = await ask(registry.port, { target, headers: [`Range: ${range}`] })
  expect(answer.status).toBe(status)
  if (status < 400) expect(page.startsWith(answer.body.toString())).toBe(true)
})

it('shows the blob of one repository to no other', async () => {
  const digest = await pushBlob('mine', 'a secret of mine')
  await pushBlob('theirs', 'something of theirs')
  for (const method of ['GET', 'DELETE']) {
    const answer = await ask(registry.port, { method, target: `/v2/theirs/blobs/${digest}` })
    expect([answer.status, codeOf(answer)]).toEqual([404, 'BLOB_UNKNOWN'])
  }
  const head = await fetch(`${registry.address}/v2/theirs/blobs/${digest}`, { method: 'HEAD' })
  expect(head.status).toBe(404)
  expect((await ask(registry.port, { target: `/v2/mine/blobs/${digest}` })).status).toBe(200)
})

it('does not take the blob of another repository for a layer or a config', async () => {
  const digest = await pushBlob('mine', 'another secret of mine')
  const own = await pushBlob('theirs', '{}')
  const named = (of: string) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: of, size: 2 })
  for (const [config, layer] of [
    [own, digest],
    [digest, own],
  ] as const) {
    const body = JSON.stringify({ schemaVersion: 2, config: named(config), layers: [named(layer)] })
    const type = 'Content-Type: application/vnd.oci.image.manifest.v1+json'
    const request = { method: 'PUT', target: '/v2/theirs/manifests/t', headers: [type], body }
    const answer = await ask(registry.port, request)
    expect([answer.status, codeOf(answer)]).toEqual([400, 'MANIFEST_BLOB_UNKNOWN'])
    expect(answer.body.toString()).toContain(digest)
    expect(answer.body.toString()).not.toContain(own)
  }
  expect((await ask(registry.port, { target: `/v2/theirs/blobs/${digest}` })).status).toBe(404)
})

it('shows a manifest of one repository to no other, nor as a blob', async () => {
  const body = '{"schemaVersion":2,"manifests":[]}'
  const type = 'Content-Type: application/vnd.oci.image.index.v1+json'
  await ask(registry.port, { method: 'PUT', target: '/v2/mine/manifests/t', headers: [type], body })
  const pushed = digest(body)
  expect((await ask(registry.port, { target: `/v2/mine/manifests/${pushed}` })).status).toBe(200)
  for (const target of [
    `/v2/theirs/manifests/${pushed}`,
    '/v2/theirs/manifests/t',
    `/v2/mine/blobs/${pushed}`,
  ])
    expect((await ask(registry.port, { target })).status).toBe(404)
})

it('mounts only what the named source holds', async () => {
  const digest = await pushBlob('mine', 'mounted from elsewhere')
  for (const from of ['theirs', 'nobody', 'new']) {
    const target = `/v2/new/blobs/uploads/?mount=${digest}&from=${from}`
    expect((await ask(registry.port, { method: 'POST', target, body: '' })).status).toBe(202)
    expect((await ask(registry.port, { target: `/v2/new/blobs/${digest}` })).status).toBe(404)
  }
})
