import { expect, it } from 'vitest'
import { chunked } from '../helpers/chunked.ts'
import { converse } from '../helpers/converse.ts'
import { randomBytes } from '../helpers/images.ts'
import { describeUnless, needsSyscalls } from '../helpers/obstacles.ts'
import {
  bytesOf,
  expectUploaded,
  framings,
  handled,
  head,
  inChunks,
  receivingForAll,
  startUpload,
  statuses,
} from '../helpers/receiving.ts'

const KiB = 1024
const MiB = 1024 * 1024
const BLOCK = 64 * KiB

const registry = await receivingForAll()
const { port } = registry

const smuggled = head('GET /healthz', 'X-Request-Id: smuggled')

describeUnless(await needsSyscalls(), 'what is sent behind or inside a large body', () => {
  it.for(framings)('is never answered when it is behind one $framing', async ({ header, body }) => {
    const bytes = randomBytes('behind', 2 * MiB)
    for (const parts of [1, 2, 3]) {
      const location = await startUpload(registry)
      const start = head(`PATCH ${location}`, header(bytes.length))
      const request = bytesOf(start, body(bytes), parts === 3 ? '' : smuggled)
      const cut = parts === 1 ? 0 : start.length + BLOCK
      const behind = parts === 3 ? smuggled : ''
      const answers = await converse(port, request.subarray(0, cut), request.subarray(cut), behind)
      expect(statuses(answers)).toEqual([202])
      await expectUploaded(registry, location, bytes)
    }
    expect(handled(registry)).not.toContain('smuggled')
  })

  it.for(framings)('is content when it is inside one $framing', async ({ header, body }) => {
    const filler = randomBytes('filler', 2 * MiB)
    for (const at of [0, 1, BLOCK - 200, BLOCK, MiB]) {
      const location = await startUpload(registry)
      const patch = head(`PATCH ${location}`, header(1), 'X-Request-Id: smuggled')
      const bytes = bytesOf(
        filler.subarray(0, at),
        '0\r\n\r\n',
        smuggled,
        patch,
        '5\r\nabcde\r\n0\r\n\r\n',
        filler.subarray(at),
      )
      const start = head(`PATCH ${location}`, header(bytes.length))
      expect(statuses(await converse(port, bytesOf(start, body(bytes))))).toEqual([202])
      await expectUploaded(registry, location, bytes)
    }
    expect(handled(registry)).not.toContain('smuggled')
  })

  it.for(framings)('is never answered when one $framing is refused', async ({ header, body }) => {
    const bytes = randomBytes('refused', 2 * MiB)
    const target = '/v2/a/blobs/uploads/nothing'
    for (const first of [0, 100]) {
      const request = bytesOf(body(bytes), smuggled)
      const start = bytesOf(head(`PATCH ${target}`, header(bytes.length)), request.subarray(0, first))
      const [answer, ...more] = await converse(port, start, request.subarray(first))
      expect([answer?.status, answer?.headers.connection, more.length]).toEqual([404, 'close', 0])
    }
    expect(handled(registry)).not.toContain('smuggled')
  })

  it('is content when it is the head of that very request', async () => {
    for (const before of ['', head('GET /v2/'), head('GET /v2/').repeat(3)]) {
      const location = await startUpload(registry)
      const own = head(`PATCH ${location}`, inChunks, 'Connection: close')
      const bytes = bytesOf(`${own}5\r\nabcde\r\n0\r\n\r\n`.repeat(20_000))
      const request = bytesOf(before, own, chunked(bytes, bytes.length))
      // What is read next may begin with it.
      const cut = request.indexOf(own, BLOCK)
      const answers = await converse(port, request.subarray(0, cut), request.subarray(cut))
      expect(answers.at(-1)?.status).toBe(202)
      await expectUploaded(registry, location, bytes)
    }
  })
})
