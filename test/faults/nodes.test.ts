/** Servers on one bucket that know of each other by nothing but that. */
import { expect, it } from 'vitest'
import { basic, bearer } from '../helpers/access.ts'
import { administered } from '../helpers/administered.ts'
import { content, fetched } from '../helpers/blob.ts'
import { send } from '../helpers/http.ts'
import { emptyIndex, mediaTypes } from '../helpers/images.ts'
import { said } from '../helpers/node-figures.ts'
import { nodeLoop } from '../helpers/node-loop.ts'
import { type Nodes, startNodes } from '../helpers/nodes.ts'
import { describeUnless, needsPrograms } from '../helpers/obstacles.ts'
import { remark } from '../helpers/reporter.ts'
import { type S3Engine, startEngine } from '../helpers/s3-engine.ts'
import { pause, until } from '../helpers/until.ts'
import { append, finish, movedTo, slowRequest, startUpload, uploadStatus } from '../helpers/upload.ts'

const MiB = 1024 * 1024
/** Of an upload, in bytes. */
const part = 16 * MiB
/** How long one node may not know what was changed on another, in ms. */
const boundMs = 2_000
/** How long a node has to read what a client has sent. */
const readMs = 500

const test = it
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the names of fixtures from the pattern
  .extend('engine', { scope: 'file' }, async ({}, { onCleanup }): Promise<S3Engine> => {
    const engine = await startEngine('versitygw')
    onCleanup(() => engine[Symbol.asyncDispose]())
    return engine
  })
  .extend('nodes', async ({ engine }, { onCleanup }): Promise<Nodes> => {
    const nodes = await startNodes(engine, { count: 2 })
    onCleanup(() => nodes[Symbol.asyncDispose]())
    return nodes
  })

const addressesOf = ({ servers }: Nodes) =>
  servers.map(({ address }) => address) as [first: string, second: string]

/** Both nodes answer with this status in time. Before each change both have looked, so both remember. */
async function bothAnswer(nodes: Nodes, status: number, authorization: string, path: string): Promise<void> {
  for (const address of addressesOf(nodes)) {
    const ask = async () => (await send(address, path, { authorization })).status
    await expect.poll(ask, { timeout: boundMs, interval: 25, message: path }).toBe(status)
  }
}

describeUnless(needsPrograms(['versitygw', 'nginx']), 'nodes on one bucket', () => {
  test('know within 2 s what is changed about users, rules, robots and keys', async ({ nodes }) => {
    const { done } = administered(undefined, nodes.env)
    const [first, second] = addressesOf(nodes)
    const path = '/v2/team/app/tags/list'
    const bytes = emptyIndex('one').bytes
    const pushed = { method: 'PUT', headers: { 'Content-Type': mediaTypes.oci.index }, body: bytes }
    expect((await send(first, '/v2/team/app/manifests/1', pushed)).status).toBe(201)

    const alice = basic('alice', await done('user add alice --admin'))
    await bothAnswer(nodes, 200, alice, path)
    const bob = basic('bob', await done('user add bob'))
    await bothAnswer(nodes, 200, bob, '/v2/')
    await bothAnswer(nodes, 200, bob, path)
    await done("access add 'pull other/** signed-in'")
    await bothAnswer(nodes, 403, bob, path)
    const rule = await done("access add 'pull team/** bob'")
    await bothAnswer(nodes, 200, bob, path)
    await done(`access remove ${rule}`)
    await bothAnswer(nodes, 403, bob, path)
    await done('user disable bob')
    await bothAnswer(nodes, 401, bob, '/v2/')

    await done('robot add ci')
    await done("access add 'pull team/** robot:ci'")
    const secret = await done('token create --robot ci')
    const robot = basic('ci', secret)
    await bothAnswer(nodes, 200, robot, path)
    await done(`token revoke ${secret.slice(6, 16)}`)
    await bothAnswer(nodes, 401, robot, path)

    const scope = encodeURIComponent('repository:team/app:pull')
    const issued = await send(first, `/auth/token?scope=${scope}`, { authorization: alice })
    const { token } = JSON.parse(issued.text) as { token: string }
    expect((await send(second, path, { authorization: bearer(token) })).status).toBe(200)
    await bothAnswer(nodes, 200, bearer(token), path)
    const [{ kid }] = JSON.parse(await done('keys list --json')).keys as [{ kid: string }]
    await done(`keys revoke ${kid}`)
    await bothAnswer(nodes, 401, bearer(token), path)
  }, 120_000)

  test('see at once where a tag points', async ({ nodes }) => {
    const [first, second] = addressesOf(nodes)
    const path = '/v2/team/app/manifests/latest'
    for (let turn = 0; turn < 20; turn++) {
      const [here, there] = turn % 2 ? [first, second] : [second, first]
      const { bytes, descriptor } = emptyIndex(`turn ${turn}`)
      const headers = { 'Content-Type': mediaTypes.oci.index }
      expect((await send(here, path, { method: 'PUT', headers, body: bytes })).status).toBe(201)
      expect((await send(there, path)).headers['docker-content-digest']).toBe(descriptor.digest)
      const condition = { ...headers, 'If-None-Match': '*' }
      expect((await send(there, path, { method: 'PUT', headers: condition, body: bytes })).status).toBe(412)
      if (turn % 5 !== 4) continue
      expect((await send(there, path, { method: 'DELETE' })).status).toBe(202)
      expect((await send(here, path)).status).toBe(404)
    }
  }, 60_000)

  test('keep what one acknowledges after another has deleted it', async ({ nodes }) => {
    const [first, second] = addressesOf(nodes)
    const { bytes, descriptor } = emptyIndex('again')
    const at = (reference: string) => `/v2/team/again/manifests/${reference}`
    const push = { method: 'PUT', headers: { 'Content-Type': mediaTypes.oci.index }, body: bytes }
    expect((await send(first, at('1'), push)).status).toBe(201)
    expect((await send(first, at('1'))).status).toBe(200)
    expect((await send(second, at(descriptor.digest), { method: 'DELETE' })).status).toBe(202)
    expect((await send(first, at(descriptor.digest))).status).toBe(404)
    expect((await send(first, at('1'), push)).status).toBe(201)
    for (const address of [first, second]) expect((await send(address, at('1'))).status).toBe(200)
  }, 60_000)

  test('take an upload on from each other, and end it', async ({ nodes }) => {
    const [first, second] = addressesOf(nodes)
    const name = 'team/upload'
    const blob = content('from node to node', 2 * part + 5 * MiB)
    let upload = await startUpload({ address: first, name })
    for (const [turn, to] of [3 * MiB, part + MiB, 2 * part, 2 * part + MiB].entries()) {
      upload = movedTo(turn % 2 ? first : second, upload)
      upload = await append(upload, blob.bytes.subarray(upload.size, to))
      expect(upload.size).toBe(to)
    }
    const ended = movedTo(second, upload)
    expect((await uploadStatus(ended)).size).toBe(upload.size)
    expect((await finish(ended, blob.digest, blob.bytes.subarray(upload.size))).status).toBe(201)
    for (const address of [first, second]) expect(await fetched({ address, name }, blob)).toBe(blob.digest)
  }, 60_000)

  test('go on with what another has stored of a request that broke off', async ({ nodes }) => {
    const [first, second] = addressesOf(nodes)
    const name = 'team/broken'
    const blob = content('broken off', part + 5 * MiB)
    let upload = await startUpload({ address: first, name })
    for (const sent of [3 * MiB, part + 3 * MiB]) {
      const { url, size } = upload
      {
        await using client = await slowRequest('PATCH', url, blob.bytes.length - size)
        await client.send(blob.bytes.subarray(size, sent))
        // What is not read yet when the connection is reset is lost.
        await pause(readMs)
      }
      await until('some of it is stored', async () => (await uploadStatus(upload)).size > size)
      upload = await uploadStatus(upload)
    }
    // One node knows where it stands, and what that one says leads on.
    const found = movedTo(second, upload)
    expect((await uploadStatus(found)).size).toBe(upload.size)
    const rest = blob.bytes.subarray(upload.size)
    expect((await finish(found, blob.digest, rest)).status).toBe(201)
    expect(await fetched({ address: first, name }, blob)).toBe(blob.digest)
  }, 60_000)

  test('go on from what was acknowledged, whatever another has of a request that broke off', async ({
    nodes,
  }) => {
    const [first, second] = addressesOf(nodes)
    const name = 'team/parity'
    const blob = content('told and not told', 3 * MiB)
    let told = await startUpload({ address: first, name })
    for (const end of [MiB, 2 * MiB, 3 * MiB]) {
      {
        await using client = await slowRequest(
          'PATCH',
          movedTo(second, told).url,
          blob.bytes.length - told.size,
        )
        await client.send(blob.bytes.subarray(told.size, end - 1))
        await pause(readMs)
      }
      // The first knows of nothing, so its client sends the same again, and may come to the second.
      expect((await uploadStatus(told)).size).toBe(told.size)
      const at = movedTo(second, told)
      // Which may be busy with what broke off for a moment.
      const again = () => append(at, blob.bytes.subarray(at.size, end)).catch(() => undefined)
      await until('the second goes on', async () => {
        const grown = await again()
        if (grown) told = movedTo(first, grown)
        return grown !== undefined
      })
      expect(told.size).toBe(end)
    }
    expect((await finish(told, blob.digest)).status).toBe(201)
    expect(await fetched({ address: first, name }, blob)).toBe(blob.digest)
  }, 60_000)

  test('go on from the last full part of an upload whose node was killed', async ({ nodes }) => {
    const [first, second] = addressesOf(nodes)
    const name = 'team/killed'
    const blob = content('killed', 3 * part)
    const begun = await startUpload({ address: first, name })
    const elsewhere = movedTo(second, begun)
    await using client = await slowRequest('PATCH', begun.url, blob.bytes.length)
    await client.send(blob.bytes.subarray(0, 2 * part + 4 * MiB))
    await until('two parts are stored', async () => (await uploadStatus(elsewhere)).size === 2 * part)
    await nodes.kill(0)
    const found = await uploadStatus(elsewhere)
    expect(found.size).toBe(2 * part)
    expect((await finish(found, blob.digest, blob.bytes.subarray(found.size))).status).toBe(201)
    expect(await fetched({ address: second, name }, blob)).toBe(blob.digest)
    await nodes.start(0)
    expect(await fetched({ address: first, name }, blob)).toBe(blob.digest)
  }, 60_000)

  test('lose nothing of many clients while one after another is killed', async ({ engine, annotate }) => {
    const figures = await nodeLoop(engine, { nodes: 2, clients: 8, forMs: 25_000, killEveryMs: 6_000 })
    for (const line of said(figures)) await annotate(line, remark)
    expect(figures.lost).toEqual([])
    expect(figures.kills).toBeGreaterThan(2)
  }, 180_000)
})
