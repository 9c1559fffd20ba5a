import { kill } from 'node:process'
import { expect, it } from 'vitest'
import { content, fetched } from '../helpers/blob.ts'
import { isAlive, primaryOf } from '../helpers/processes.ts'
import { startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'
import { append, finish, movedTo, slowRequest, startUpload, uploadStatus } from '../helpers/upload.ts'

const MiB = 1024 * 1024

it('cuts off an upload that is stuck when its time to stop is over, and goes on with it later', async () => {
  await using first = await startServer()
  const repository = { address: first.address, name: 'stop/stuck' }
  const blob = content('stuck', 2 * MiB)
  const begun = await append(await startUpload(repository), blob.bytes.subarray(0, 1000))
  await using client = await slowRequest('PATCH', begun.url, 2 * MiB - 1000)
  await client.send(blob.bytes.subarray(1000, MiB))
  await until('some of it is stored', async () => (await uploadStatus(begun)).size > 1000)

  kill(primaryOf(first), 'SIGTERM')
  await until('it has ended', () => !isAlive(primaryOf(first)), 35_000)
  expect(await first.stop()).toBe(0)
  expect(first.log.filter(line => line.msg === 'stopped').map(line => line.unfinished)).toContain(1)
  expect(await client.answer).toBe('')

  await using second = await startServer({ data: first.data ?? '' })
  const found = await uploadStatus(movedTo(second.address, begun))
  expect(found.size).toBeGreaterThan(1000)
  const answer = await finish(found, blob.digest, blob.bytes.subarray(found.size))
  expect(answer.status).toBe(201)
  expect(await fetched({ ...repository, address: second.address }, blob)).toBe(blob.digest)
})
