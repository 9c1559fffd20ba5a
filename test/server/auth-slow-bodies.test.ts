/** Who sends slowly has what is permitted when the body ends, not what was permitted when it began. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, it } from 'vitest'
import type { AccessState } from '../../auth/state.ts'
import { apiToken, basic, password, storedProtections, storedRules, storedUser } from '../helpers/access.ts'
import { type Guarded, guarded } from '../helpers/guarded.ts'
import { digest, emptyIndex, mediaTypes } from '../helpers/images.ts'
import { pushManifest, repo, tag } from '../helpers/local-registry.ts'
import { name } from '../helpers/principals.ts'
import { until } from '../helpers/until.ts'

const first = emptyIndex('first')
const second = emptyIndex('second')
const ci = apiToken('robot:ci')
const before: Partial<AccessState> = {
  users: [storedUser('alice'), storedUser('bob')],
  robots: [{ name: name('ci'), createdMs: 1 }],
  tokens: [ci.stored],
  rules: storedRules('push app alice robot:ci', 'pull app bob'),
}

interface Push {
  readonly method: string
  readonly path: string
  readonly body: Buffer
}

const blob = (bytes: number) => Buffer.alloc(bytes, 'blob')
const received = (body: Buffer) => async () => ({
  method: 'POST',
  path: `/v2/app/blobs/uploads/?digest=${digest(body)}`,
  body,
})
const finished = (body: Buffer) => async (registry: Guarded, authorization: string) => {
  const { headers } = await registry.send('/v2/app/blobs/uploads/', { method: 'POST', authorization })
  return { method: 'PUT', path: `${headers.location}?digest=${digest(body)}`, body }
}
const pushes: Readonly<Record<string, (registry: Guarded, authorization: string) => Promise<Push>>> = {
  'a tag': async () => ({ method: 'PUT', path: '/v2/app/manifests/v1', body: second.bytes }),
  'a small blob': received(blob(200)),
  'a large blob': received(blob(100_000)),
  'a small upload': finished(blob(200)),
  'a large upload': finished(blob(100_000)),
}

/** Sends half of a body, lets `meanwhile` happen, sends the rest and returns the status. */
async function drawnOut(
  registry: Guarded,
  authorization: string,
  { method, path, body }: Push,
  meanwhile: () => Promise<void>,
): Promise<number> {
  const socket = connect({ port: registry.port, host: '127.0.0.1' })
  let answered = ''
  socket.on('data', chunk => {
    answered += chunk
  })
  const ended = once(socket, 'close')
  const half = body.length >> 1
  const head = [
    `${method} ${path} HTTP/1.1`,
    'Host: test',
    `Authorization: ${authorization}`,
    `Content-Type: ${mediaTypes.oci.index}`,
    `Content-Length: ${body.length}`,
    'Connection: close',
    'Expect: 100-continue',
  ]
  socket.write(`${head.join('\r\n')}\r\n\r\n`)
  // Leave to send comes when the request has been admitted.
  await until('there is leave to send', () => answered.startsWith('HTTP/1.1 100 '))
  socket.write(body.subarray(0, half))
  await meanwhile()
  socket.write(body.subarray(half))
  await ended
  return Number(/\r\n\r\nHTTP\/1.1 (\d+)/.exec(answered)?.[1])
}

const changes: Readonly<Record<string, Partial<AccessState>>> = {
  'who sends is disabled': { users: [storedUser('alice', { disabled: true }), storedUser('bob')] },
  'who sends has another password': { users: [storedUser('alice', { serial: 2 }), storedUser('bob')] },
  'the token is revoked': { tokens: [{ ...ci.stored, revokedMs: 1 }] },
  'the rule is removed': { rules: storedRules('pull app bob') },
  'it is frozen': { protections: storedProtections('frozen app') },
}
const matrix = Object.keys(pushes).flatMap(push =>
  [
    ['who sends is disabled', 'alice', 401],
    ['who sends has another password', 'by a token of ours', 401],
    ['the token is revoked', 'ci', 401],
    ['the rule is removed', 'alice', 403],
    ['it is frozen', 'alice', 403],
  ].map(([change, who, status]) => [push, String(change), String(who), Number(status)] as const),
)

async function registryWith(): Promise<Guarded> {
  const registry = await guarded(before)
  await pushManifest(registry.registry, first, tag('v1'), { name: repo('app') })
  return registry
}

const shownBy = async (registry: Guarded, who: string) => {
  if (who === 'ci') return basic('ci', ci.text)
  return who === 'alice' ? basic('alice', password) : registry.token('alice', 'repository:app:pull,push')
}
const tagNow = async (registry: Guarded) =>
  (await registry.as('bob', '/v2/app/manifests/v1')).headers['docker-content-digest']

it.for(matrix)('does not take %s when meanwhile %s (%s)', async ([push, change, who, status]) => {
  await using registry = await registryWith()
  const shown = await shownBy(registry, who)
  const made = await pushes[push]?.(registry, shown)
  if (!made) throw new Error(`no push is called ${push}`)
  expect(await drawnOut(registry, shown, made, () => registry.set(changes[change] ?? {}))).toBe(status)
  expect(await tagNow(registry)).toBe(first.descriptor.digest)
  const there = await registry.as('bob', `/v2/app/blobs/${digest(made.body)}`)
  expect(there.status).toBe(404)
})

it('does not move a tag that has meanwhile become immutable', async () => {
  await using registry = await registryWith()
  const alice = basic('alice', password)
  const push = { method: 'PUT', path: '/v2/app/manifests/v1', body: second.bytes }
  const protections = storedProtections('immutable app:v1')
  expect(await drawnOut(registry, alice, push, () => registry.set({ protections }))).toBe(403)
  expect(await tagNow(registry)).toBe(first.descriptor.digest)
})

it.for(Object.keys(pushes))('takes %s when meanwhile somebody else was disabled', async push => {
  await using registry = await registryWith()
  for (const who of ['alice', 'ci', 'by a token of ours']) {
    const shown = await shownBy(registry, who)
    const made = await pushes[push]?.(registry, shown)
    if (!made) throw new Error(`no push is called ${push}`)
    const users = [storedUser('alice'), storedUser('bob', { disabled: true })]
    expect(await drawnOut(registry, shown, made, () => registry.set({ users }))).toBe(201)
  }
})
