import { statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { content } from '../helpers/blob.ts'
import { descriptorsOf, privateBytes, workersOf } from '../helpers/processes.ts'
import type { Repository } from '../helpers/push.ts'
import { rawClient } from '../helpers/raw-client.ts'
import { startServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'
import {
  append,
  cancel,
  type Framing,
  finish,
  finishUrl,
  slowRequest,
  startUpload,
  type Upload,
  uploadStatus,
} from '../helpers/upload.ts'

const rounds = 20
const MiB = 1024 * 1024

/** Descriptors of files in the data folder, and of sockets, that the workers hold; folders are kept open for fsyncs. */
function held(server: TestServer): number {
  return workersOf(server)
    .flatMap(descriptorsOf)
    .filter(target => target.startsWith('socket:') || isFileIn(server.data ?? '/nowhere', target)).length
}

const isFileIn = (folder: string, target: string) =>
  target.startsWith(folder) && !statSync(target, { throwIfNoEntry: false })?.isDirectory()

/** Connections that this test's own client may keep open. Each kind of abort happens more often than that. */
const kept = 4

async function level(server: TestServer, before: number): Promise<void> {
  await until(`no more than ${before + kept} descriptors are open`, () => held(server) <= before + kept)
}

const memory = (server: TestServer) => workersOf(server).reduce((sum, pid) => sum + privateBytes(pid), 0)

async function unfinished({ data = '' }: TestServer): Promise<readonly string[]> {
  const names = await readdir(join(data, 'u'), { recursive: true, withFileTypes: true }).catch(() => [])
  return names.filter(entry => entry.isFile()).map(entry => entry.name)
}

it('keeps what arrived of an upload whose client vanished, and nothing else', async () => {
  await using server = await startServer()
  const repository: Repository = { address: server.address, name: 'faults/abort' }
  const blob = content('abort', 2 * MiB)
  // What every process opens once, it has opened then.
  for (let count = 0; count < 8; count++) await finish(await startUpload(repository), blob.digest, blob.bytes)
  const before = held(server)

  const uploads: Upload[] = []
  for (let count = 0; count < rounds; count++) {
    const upload = await startUpload(repository)
    uploads.push(upload)
    const isPut = count % 2 === 1
    const url = isPut ? finishUrl(upload.url, blob.digest) : upload.url
    await using client = await slowRequest(
      isPut ? 'PUT' : 'PATCH',
      url,
      blob.bytes.length,
      count % 4 < 2 ? 'length' : 'chunked',
    )
    await client.send(blob.bytes.subarray(0, 600_000))
    await until('some of it is stored', async () => (await uploadStatus(upload)).size > 0)
  }
  await level(server, before)
  // The last batch that arrived is given up with the connection: at most what is gathered for one write.
  const left: Upload[] = []
  // One after the other: connections that this test keeps open would be counted.
  for (const upload of uploads) left.push(await uploadStatus(upload))
  for (const { size } of left) {
    expect(size).toBeGreaterThan(0)
    expect(size).toBeLessThanOrEqual(600_000)
  }

  const [first, ...others] = left
  if (!first) throw new Error('there is no upload')
  const answer = await finish(await append(first, blob.bytes.subarray(first.size)), blob.digest)
  expect(answer.status).toBe(201)
  for (const upload of others) expect((await cancel(upload)).status).toBe(204)
  expect(await unfinished(server)).toEqual([])
  await level(server, before)
})

it('keeps no memory of uploads whose clients vanished', async () => {
  await using server = await startServer()
  const repository: Repository = { address: server.address, name: 'faults/memory' }
  const blob = content('memory', 24 * MiB)
  const abandonOne = async (framing: Framing) => {
    const upload = await startUpload(repository)
    {
      await using client = await slowRequest('PATCH', upload.url, blob.bytes.length, framing)
      await client.send(blob.bytes.subarray(0, 16 * MiB))
      await until('most of it is stored', async () => (await uploadStatus(upload)).size > 8 * MiB)
    }
    expect((await cancel(upload)).status).toBe(204)
  }
  for (let count = 0; count < 8; count++) await abandonOne(count % 2 === 0 ? 'length' : 'chunked')
  const before = memory(server)
  for (let count = 0; count < rounds; count++) await abandonOne(count % 2 === 0 ? 'length' : 'chunked')
  // What twenty of them had sent is 320 MiB.
  expect(memory(server) - before).toBeLessThan(96 * MiB)
})

it('forgets a blob in one POST whose client vanished', async () => {
  await using server = await startServer()
  const blob = content('post', 2 * MiB)
  const url = new URL(`/v2/faults/post/blobs/uploads/?digest=${blob.digest}`, server.address)
  expect((await fetch(url, { method: 'POST', body: new Uint8Array(blob.bytes) })).status).toBe(201)
  const before = held(server)
  for (let count = 0; count < rounds; count++) {
    await using client = await slowRequest('POST', url, blob.bytes.length)
    await client.send(blob.bytes.subarray(0, 600_000))
    await until('it is being stored', async () => (await unfinished(server)).length > 0)
  }
  await until('nothing is left of them', async () => (await unfinished(server)).length === 0)
  await level(server, before)
})

it('lets go of a blob whose reader vanished', async () => {
  await using server = await startServer()
  const repository: Repository = { address: server.address, name: 'faults/read' }
  const blob = content('read', 24 * MiB)
  expect((await finish(await startUpload(repository), blob.digest, blob.bytes)).status).toBe(201)
  const path = `/v2/faults/read/blobs/${blob.digest}`
  const { hostname: host, port } = new URL(server.address)
  const abandonOne = async () => {
    await using client = await rawClient({ host, port: Number(port) })
    client.ask(path)
    await client.begin()
  }
  for (let count = 0; count < 8; count++) await abandonOne()
  const noneIsOpen = () => !workersOf(server).flatMap(descriptorsOf).some(isContent)
  await until('no blob is open', noneIsOpen)
  const before = held(server)
  const bytesBefore = memory(server)
  for (let count = 0; count < rounds; count++) await abandonOne()
  await level(server, before)
  await until('no blob is open again', noneIsOpen)
  // Twenty readers that were held in memory would be 480 MiB.
  expect(memory(server) - bytesBefore).toBeLessThan(96 * MiB)
})

const isContent = (target: string) => /\/d\/[^/]+\/[^/]+$/.test(target)
