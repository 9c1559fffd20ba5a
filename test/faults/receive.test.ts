import { statSync } from 'node:fs'
import { expect, it } from 'vitest'
import { accepts } from '../helpers/accepts.ts'
import { content, fetched, type TestBlob } from '../helpers/blob.ts'
import { descriptorsOf, privateBytes, workersOf } from '../helpers/processes.ts'
import type { Repository } from '../helpers/push.ts'
import { startServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'
import { type Framing, finish, finishUrl, slowRequest, startUpload, uploadStatus } from '../helpers/upload.ts'
import { itMounts, mountVolume } from '../helpers/volume.ts'

const MiB = 1024 * 1024
const framings: readonly Framing[] = ['length', 'chunked']

it.for(framings)('finishes a large upload (%s) that is under way when it is told to stop', async framing => {
  await using server = await startServer()
  const repository = { address: server.address, name: 'receive/drain' }
  const blob = content(`drain ${framing}`, 4 * MiB)
  const [patched, whole] = [await startUpload(repository), await startUpload(repository)]
  await using patch = await slowRequest('PATCH', patched.url, blob.bytes.length, framing)
  await using put = await slowRequest('PUT', finishUrl(whole.url, blob.digest), blob.bytes.length, framing)
  const uploads = [patched, whole]
  for (const client of [patch, put]) await client.send(blob.bytes.subarray(0, 2 * MiB))
  await until('both are being stored', async () => {
    const found = await Promise.all(uploads.map(uploadStatus))
    return found.every(({ size }) => size > MiB)
  })
  const stopped = server.stop()
  await until('new connections are refused', async () => !(await accepts(server.address)))
  for (const client of [patch, put]) {
    await client.send(blob.bytes.subarray(2 * MiB))
    client.end()
  }
  expect(await patch.answer).toMatch(/^HTTP\/1\.1 202 .*\r\nRange: 0-4194303\r\n/is)
  expect(await put.answer).toMatch(/^HTTP\/1\.1 201 /)
  expect(await stopped).toBe(0)
  await using again = await startServer({ data: server.data ?? '' })
  expect(await fetched({ ...repository, address: again.address }, blob)).toBe(blob.digest)
})

it('verifies many large uploads at once, in little memory, and lets go of them', async () => {
  await using server = await startServer({ env: { SLIPWAY_WORKERS: '1' } })
  const repository: Repository = { address: server.address, name: 'receive/many' }
  const push = async (blob: TestBlob, framing: Framing) => {
    const upload = await startUpload(repository)
    await using client = await slowRequest('PATCH', upload.url, blob.bytes.length, framing)
    if (framing === 'length') await client.send(blob.bytes)
    else for (const part of halves(blob.bytes)) await client.send(part)
    client.end()
    expect(await client.answer).toMatch(/^HTTP\/1\.1 202 /)
    expect((await finish(upload, blob.digest)).status).toBe(201)
  }
  await push(content('first', 3 * MiB), 'chunked')
  const before = openFiles(server).length
  const bytesBefore = memory(server)
  const blobs = Array.from({ length: 32 }, (_, at) => content(`many ${at}`, 3 * MiB + at))
  await Promise.all(blobs.map((blob, at) => push(blob, at % 2 ? 'length' : 'chunked')))
  // Held in memory they would be 96 MiB.
  expect(memory(server) - bytesBefore).toBeLessThan(64 * MiB)
  for (const blob of blobs) expect(await fetched(repository, blob)).toBe(blob.digest)
  await until('their files are closed', () => openFiles(server).length <= before)
  expect(duplicates(server)).toEqual([])
})

const halves = (bytes: Buffer) => [bytes.subarray(0, bytes.length / 2), bytes.subarray(bytes.length / 2)]

/** Files in the data folder that are open, folders apart: those are kept for fsyncs. */
const openFiles = (server: TestServer) =>
  workersOf(server)
    .flatMap(descriptorsOf)
    .filter(target => isFileIn(server.data ?? '/nowhere', target))

const isFileIn = (folder: string, target: string) =>
  target.startsWith(folder) && !statSync(target, { throwIfNoEntry: false })?.isDirectory()

/** Connections of which there is a second descriptor. */
const duplicates = (server: TestServer) =>
  workersOf(server)
    .flatMap(descriptorsOf)
    .filter((target, at, all) => target.startsWith('socket:') && all.indexOf(target) < at)

const memory = (server: TestServer) => workersOf(server).reduce((sum, pid) => sum + privateBytes(pid), 0)

itMounts('tells a client that is still sending that the disk is full, and drops its upload', async () => {
  await using volume = await mountVolume(24 * MiB)
  await using server = await startServer({ data: volume.path })
  const repository: Repository = { address: server.address, name: 'receive/full' }
  const bytes = content('full', 20 * MiB).bytes
  for (const method of ['PATCH', 'PUT']) {
    const upload = await startUpload(repository)
    const url = method === 'PUT' ? finishUrl(upload.url, content('full', MiB).digest) : upload.url
    await using client = await slowRequest(method, url, 0, 'chunked')
    await client.send(bytes.subarray(0, MiB))
    // More than fits: it is still sending when it gets its answer.
    const sending = client.send(bytes).then(() => client.send(bytes))
    expect(await Promise.race([client.answer, sending])).toMatch(
      /^HTTP\/1\.1 507 .*\r\nConnection: close\r\n/is,
    )
    expect((await fetch(upload.url)).status).toBe(404)
  }
  const small = content('small', 2 * MiB)
  const upload = await startUpload(repository)
  await using client = await slowRequest('PATCH', upload.url, 0, 'chunked')
  await client.send(small.bytes)
  client.end()
  expect(await client.answer).toMatch(/^HTTP\/1\.1 202 /)
  expect((await finish(upload, small.digest)).status).toBe(201)
})
