import { expect, it, vi } from 'vitest'
import { chunkedStart, readChunked } from '../../kernel/chunked.ts'
import { chunked } from '../helpers/chunked.ts'
import { randomBytes } from '../helpers/images.ts'
import { describeUnless, needsSyscalls } from '../helpers/obstacles.ts'
import { pair } from '../helpers/pair.ts'
import { openDescriptors } from '../helpers/processes.ts'
import { hashOf, inChunks, inOne, reception, started, target } from '../helpers/reception.ts'
import { io } from '../helpers/waiting.ts'

const MIB = 1024 * 1024
const bytes = randomBytes('receiver', 8 * MIB)

describeUnless(await needsSyscalls(), 'a file receiver', () => {
  it.for([
    [inOne(bytes.length), bytes, 'sha256'],
    [inOne(bytes.length), bytes, 'sha512'],
    [inChunks, chunked(bytes, 32 * 1024), 'sha256'],
    [inChunks, chunked(bytes, bytes.length), 'sha512'],
    [inChunks, chunked(bytes, 256 * 1024 - 7), 'sha256'],
    [inChunks, chunked(bytes, 1000), 'sha256'],
  ] as const)('writes and hashes a body: %#', async ([framing, body, algorithm]) => {
    await using receiver = started()
    await using from = await pair()
    using file = target()
    from.far.write(body)
    const received = await receiver.receive(from.fd, reception(file.fd, { framing, algorithm }), io)
    expect(received).toEqual({ bytes: bytes.length, digest: hashOf(bytes, algorithm) })
    expect((await file.content()).equals(bytes)).toBe(true)
  })

  it('writes and hashes chunks of a byte each', async () => {
    await using receiver = started()
    await using from = await pair()
    using file = target()
    const content = bytes.subarray(0, 300_000)
    from.far.write(chunked(content, 1))
    expect(await receiver.receive(from.fd, reception(file.fd, {}), io)).toEqual({
      bytes: content.length,
      digest: hashOf(content),
    })
    expect((await file.content()).equals(content)).toBe(true)
  })

  it('goes on behind what has been read of a body, wherever that ends', async () => {
    await using receiver = started()
    const content = bytes.subarray(0, 40)
    const framed = chunked(content, 16)
    for (let cut = 0; cut < framed.length; cut++) {
      await using from = await pair()
      using file = target()
      const head = framed.subarray(0, cut)
      const parts: Buffer[] = []
      const place = readChunked(chunkedStart, head, (start, end) => parts.push(head.subarray(start, end)))
      if (!place) throw new Error(`no place at ${cut}`)
      from.far.write(framed.subarray(cut))
      const first = Buffer.concat(parts)
      const framing = { kind: 'chunked', place } as const
      const received = await receiver.receive(from.fd, reception(file.fd, { first, framing }), io)
      expect(received).toEqual({ bytes: 40, digest: hashOf(content) })
      expect(await file.content()).toEqual(content)
    }
  })

  it('writes from a position on, and hashes and counts what it writes', async () => {
    await using receiver = started()
    await using from = await pair()
    using file = target()
    from.far.write(bytes.subarray(10, MIB))
    const first = bytes.subarray(0, 10)
    const framing = inOne(MIB - 10)
    const received = await receiver.receive(from.fd, reception(file.fd, { position: 5, first, framing }), io)
    expect(received).toEqual({ bytes: MIB, digest: hashOf(bytes.subarray(0, MIB)) })
    expect((await file.content()).equals(Buffer.concat([Buffer.alloc(5), bytes.subarray(0, MIB)]))).toBe(true)
  })

  it.for([
    ['of a given length', inOne(0)],
    ['in chunks', { kind: 'chunked', place: { ...chunkedStart, expects: 'nothing' } }],
  ] as const)('waits for nothing when a body %s has been read to its end', async ([, framing]) => {
    await using receiver = started()
    await using from = await pair()
    using file = target()
    const first = bytes.subarray(0, 100)
    const received = await receiver.receive(from.fd, reception(file.fd, { first, framing }), io)
    expect(received).toEqual({ bytes: 100, digest: hashOf(first) })
    from.far.end('behind it')
    expect(String(Buffer.concat(await from.near.toArray()))).toBe('behind it')
  })

  it('leaves what is behind a body of a given length to the next reader, and both descriptors open', async () => {
    await using receiver = started()
    await using from = await pair()
    using file = target()
    for (const start of [0, 1000]) {
      from.far.write(bytes.subarray(start, start + 1000))
      const framing = inOne(1000)
      await receiver.receive(from.fd, reception(file.fd, { position: start, framing }), io)
    }
    expect((await file.content()).equals(bytes.subarray(0, 2000))).toBe(true)
    from.far.end('behind it')
    expect(String(Buffer.concat(await from.near.toArray()))).toBe('behind it')
  })

  it('receives many at once, each into its own file', async () => {
    const before = openDescriptors()
    {
      await using receiver = started()
      const one = async (_: unknown, index: number) => {
        await using from = await pair()
        using file = target()
        const content = bytes.subarray(index * 1001, index * 1001 + 2 * MIB + index)
        const framed = index % 2 === 0
        from.far.write(framed ? chunked(content, 32 * 1024) : content)
        const framing = framed ? inChunks : inOne(content.length)
        const { digest } = await receiver.receive(from.fd, reception(file.fd, { framing }), io)
        return digest === hashOf(content) && (await file.content()).equals(content)
      }
      expect(await Promise.all(Array.from({ length: 40 }, one))).not.toContain(false)
    }
    await vi.waitFor(() => expect(openDescriptors()).toBe(before))
  })
})
