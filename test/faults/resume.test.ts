import { expect, it } from 'vitest'
import { content, fetched } from '../helpers/blob.ts'
import { crash } from '../helpers/processes.ts'
import { startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'
import {
  append,
  type Framing,
  finish,
  movedTo,
  slowRequest,
  startUpload,
  uploadStatus,
} from '../helpers/upload.ts'
import { answering } from '../helpers/workers.ts'

const MiB = 1024 * 1024
const workers = { env: { SLIPWAY_WORKERS: '2' } }
const framings: readonly Framing[] = ['length', 'chunked']
const ends = ['a crash', 'an orderly stop'] as const

it.for(framings)('goes on with an upload (%s) whose connection broke, again and again', async framing => {
  await using server = await startServer(workers)
  const repository = { address: server.address, name: `resume/${framing}` }
  const blob = content(`resume ${framing}`, 5 * MiB)
  const begun = await startUpload(repository)
  let upload = begun
  while (upload.size < 4 * MiB) {
    const { size } = upload
    {
      await using client = await slowRequest('PATCH', upload.url, blob.bytes.length - size, framing)
      await client.send(blob.bytes.subarray(size, size + MiB))
      await until('some of it is stored', async () => (await uploadStatus(begun)).size > size)
    }
    // Until the broken request is over, it may still add to the upload.
    await until('what is left can be sent', async () => {
      upload = await uploadStatus(begun)
      const probe = await fetch(upload.url, {
        method: 'PATCH',
        headers: { 'Content-Range': `${upload.size}-${upload.size}` },
        body: new Uint8Array(blob.bytes.subarray(upload.size, upload.size + 1)),
      })
      return probe.status === 202
    })
    upload = await uploadStatus(begun)
  }
  const answer = await finish(upload, blob.digest, blob.bytes.subarray(upload.size))
  expect(answer.status).toBe(201)
  expect(await fetched(repository, blob)).toBe(blob.digest)
})

it.for(ends)('goes on with an upload after %s of the server', async end => {
  await using first = await startServer(workers)
  const blob = content(`restart ${end}`, 3 * MiB)
  const started = await startUpload({ address: first.address, name: 'resume/restart' })
  const begun = await append(started, blob.bytes.subarray(0, MiB))
  if (end === 'a crash') await crash(first)
  else expect(await first.stop()).toBe(0)

  await using second = await startServer({ ...workers, data: first.data ?? '' })
  const repository = { address: second.address, name: 'resume/restart' }
  const found = await uploadStatus(movedTo(second.address, begun))
  expect(found.size).toBe(MiB)
  const wrong = await startUpload(repository)
  const half = await append(wrong, blob.bytes.subarray(0, MiB))
  expect((await finish(half, blob.digest, blob.bytes.subarray(0, MiB))).status).toBe(400)

  const grown = await append(found, blob.bytes.subarray(MiB, 2 * MiB))
  expect((await finish(grown, blob.digest, blob.bytes.subarray(2 * MiB))).status).toBe(201)
  expect(await fetched(repository, blob)).toBe(blob.digest)
})

it('takes the chunks of one upload through different workers', async () => {
  await using server = await startServer(workers)
  await answering(server, 2)
  const repository = { address: server.address, name: 'resume/workers' }
  const blob = content('workers', 2 * MiB)
  let upload = await startUpload(repository)
  const step = 128 * 1024
  for (let at = 0; at < blob.bytes.length; at += step) {
    // A connection of its own each time: the next worker gets it.
    await using client = await slowRequest('PATCH', upload.url, step)
    await client.send(blob.bytes.subarray(at, at + step))
    expect(await client.answer).toMatch(/^HTTP\/1\.1 202 /)
    upload = await uploadStatus(upload)
    expect(upload.size).toBe(at + step)
  }
  expect((await finish(upload, blob.digest)).status).toBe(201)
  expect(await fetched(repository, blob)).toBe(blob.digest)
  await until('the log says that both took part', () => appendersIn(server.log).size === 2)
})

/** The processes that took part of an upload. */
function appendersIn(log: readonly { readonly [field: string]: unknown }[]): ReadonlySet<unknown> {
  return new Set(log.filter(line => line.operation === 'appendUpload').map(line => line.pid))
}
