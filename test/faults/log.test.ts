/** Small blobs that the log had and no file yet, when a whole server comes to its end. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { content, fetched, type TestBlob } from '../helpers/blob.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { crash } from '../helpers/processes.ts'
import { startServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

const name = 'faults/log'
const blobs = Array.from({ length: 200 }, (_, at) => content(`log ${at}`, 300 + at))

async function push({ address }: TestServer, blob: TestBlob): Promise<void> {
  const url = new URL(`/v2/${name}/blobs/uploads/?digest=${blob.digest}`, address)
  const answer = await fetch(url, { method: 'POST', body: new Uint8Array(blob.bytes) })
  expect(answer.status).toBe(201)
}

/** Those whose link is a file. */
function filed(data: string): readonly TestBlob[] {
  return blobs.filter(({ digest }) => {
    const [, hex = ''] = digest.split(':')
    const folder = join(data, 'b/sha256', hex.slice(0, 3))
    return existsSync(folder) && readdirSync(folder).some(file => file.startsWith(hex))
  })
}

const expectAll = async ({ address }: TestServer) => {
  for (const blob of blobs) expect(await fetched({ address, name }, blob)).toBe(blob.digest)
}

it.for(['full', 'relaxed'])('loses none of them when it is killed (durability: %s)', async durability => {
  const data = await temporaryFolder()
  const options = { data, env: { SLIPWAY_WORKERS: '2', SLIPWAY_DURABILITY: durability } }
  await using first = await startServer(options)
  for (const blob of blobs) await push(first, blob)
  await crash(first)
  expect(filed(data).length).toBeLessThan(blobs.length)
  await using second = await startServer(options)
  await expectAll(second)
  await until('they are files', () => filed(data).length === blobs.length)
  await expectAll(second)
})

it('has them all in files when it has stopped', async () => {
  const data = await temporaryFolder()
  await using first = await startServer({ data, env: { SLIPWAY_WORKERS: '2' } })
  for (const blob of blobs) await push(first, blob)
  expect(filed(data).length).toBeLessThan(blobs.length)
  expect(await first.stop()).toBe(0)
  expect(filed(data).length).toBe(blobs.length)
  expect(readdirSync(join(data, 'wal'))).toEqual(['board'])
  expect(statSync(join(data, 'wal/board')).size).toBeLessThan(4096)
  await using second = await startServer({ data })
  await expectAll(second)
})
