import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type FileSender, startFileSender } from '../../kernel/sender.ts'
import { selfSigned } from '../helpers/certificate.ts'
import { fileServer } from '../helpers/file-server.ts'
import { itUnless, needsSyscalls } from '../helpers/obstacles.ts'
import { openDescriptors } from '../helpers/processes.ts'
import { rawClient } from '../helpers/raw-client.ts'

const MIB = 1024 * 1024
const SIZE = 100 * MIB
const bytes = randomFillSync(Buffer.allocUnsafe(SIZE))
const started = await startFileSender(() => {})
const kernel = 'sender' in started ? started.sender : undefined
const folder = await mkdtempDisposable(join(tmpdir(), 'slipway-test-'))
const file = join(folder.path, 'content')

beforeAll(() => writeFile(file, bytes))
afterAll(async () => {
  await kernel?.close()
  await folder[Symbol.asyncDispose]()
})

const ways: { way: string; sender: FileSender | undefined }[] = [{ way: 'buffers', sender: undefined }]
if (kernel !== undefined) ways.push({ way: 'the kernel', sender: kernel })

describe.for(ways)('sendFile by $way', ({ way, sender }) => {
  it.for([
    [0, 0],
    [0, 1],
    [0, 64 * 1024 - 1],
    [0, 64 * 1024],
    [0, 64 * 1024 + 1],
    [0, SIZE],
    [SIZE - 1, SIZE],
    [7, 64 * 1024 + 9],
    [12_345, 3 * MIB],
    [MIB, 2 * MIB],
    [SIZE - 5 * MIB - 1, SIZE],
  ] as const)('sends exactly the bytes from %i to %i', async ([start, end]) => {
    await using server = await fileServer({ file, sender })
    await using client = await rawClient({ port: server.port })
    client.ask(`/${start}-${end}`)
    expect((await client.answer()).equals(bytes.subarray(start, end))).toBe(true)
    expect(await server.outcomes[0]).toBeUndefined()
    const throughNode = server.writtenByNode[0] ?? 0
    if (way === 'the kernel' && end - start > 64 * 1024) expect(throughNode).toBeLessThan(1024)
    else expect(throughNode).toBeGreaterThanOrEqual(end - start)
  })

  it('keeps a connection alive from answer to answer', async () => {
    await using server = await fileServer({ file, sender })
    await using client = await rawClient({ port: server.port })
    for (const size of [MIB, 10, 5 * MIB, 0, 200_000]) {
      client.ask(`/3-${3 + size}`)
      expect((await client.answer()).equals(bytes.subarray(3, 3 + size))).toBe(true)
    }
    expect(await Promise.all(server.outcomes)).toEqual(Array(5).fill(undefined))
  })

  it('answers pipelined requests in order', async () => {
    await using server = await fileServer({ file, sender })
    await using client = await rawClient({ port: server.port })
    const ends = [8 * MIB, 9 * MIB, 100, 2 * MIB]
    client.ask(...ends.map(end => `/0-${end}`))
    for (const end of ends) expect((await client.answer()).equals(bytes.subarray(0, end))).toBe(true)
  })

  it('answers many at once', async () => {
    await using server = await fileServer({ file, sender })
    const download = async (start: number) => {
      await using client = await rawClient({ port: server.port })
      client.ask(`/${start}-${start + 6 * MIB}`)
      return (await client.answer()).equals(bytes.subarray(start, start + 6 * MIB))
    }
    expect(await Promise.all(Array.from({ length: 40 }, (_, index) => download(index * 1001)))).not.toContain(
      false,
    )
  })

  it('lets go of everything when clients leave in the middle', async () => {
    const before = openDescriptors()
    {
      await using server = await fileServer({ file, sender })
      await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          await using client = await rawClient({ port: server.port })
          client.ask(...Array(1 + (index % 2)).fill(`/0-${SIZE}`))
          await client.begin()
        }),
      )
      await vi.waitFor(() => expect(server.outcomes.length).toBe(30))
      const codes = (await Promise.all(server.outcomes)).map(error => (error as NodeJS.ErrnoException).code)
      for (const code of codes) expect(code).toMatch(/^(ECONNRESET|EPIPE)$/)
    }
    await vi.waitFor(() => expect(openDescriptors()).toBe(before))
  })

  it('waits for a client that stops reading, and serves others meanwhile', async () => {
    await using server = await fileServer({ file, sender })
    await using slow = await rawClient({ port: server.port })
    await using fast = await rawClient({ port: server.port })
    slow.ask(`/0-${SIZE}`)
    await slow.begin()
    fast.ask(`/0-${SIZE}`)
    expect((await fast.answer()).equals(bytes)).toBe(true)
    expect((await slow.answer()).equals(bytes)).toBe(true)
  })

  it.for([
    [SIZE - 2 * MIB, SIZE + MIB],
    [SIZE + 1, SIZE + MIB],
    [SIZE - 10, SIZE + 10],
  ] as const)('destroys the connection when the file ends between %i and %i', async ([start, end]) => {
    await using server = await fileServer({ file, sender })
    await using client = await rawClient({ port: server.port })
    client.ask(`/${start}-${end}`)
    await expect(client.answer()).rejects.toThrow('connection ended')
    expect(await server.outcomes[0]).toBeInstanceOf(Error)
  })

  it('stops when the signal aborts', async () => {
    const before = openDescriptors()
    {
      const stop = new AbortController()
      await using server = await fileServer({ file, sender, signal: stop.signal })
      await using client = await rawClient({ port: server.port })
      client.ask(`/0-${SIZE}`, `/0-${SIZE}`)
      await client.begin()
      stop.abort(new Error('shutting down'))
      await expect(client.answer()).rejects.toThrow('connection ended')
      for (const outcome of server.outcomes) expect(await outcome).toBe(stop.signal.reason)
    }
    await vi.waitFor(() => expect(openDescriptors()).toBe(before))
  })

  it('sends over a unix socket', async () => {
    const path = join(folder.path, `${way}.sock`)
    await using _server = await fileServer({ file, sender, listen: { path } })
    await using client = await rawClient({ path })
    client.ask(`/1-${20 * MIB}`, '/0-10')
    expect((await client.answer()).equals(bytes.subarray(1, 20 * MIB))).toBe(true)
    expect((await client.answer()).equals(bytes.subarray(0, 10))).toBe(true)
  })
})

describe('sendFile', async () => {
  it('encrypts for a TLS client', async () => {
    const tls = selfSigned()
    await using server = await fileServer({ file, sender: kernel, tls })
    const socket = connectTls({ port: server.port, rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    socket.write(`GET /5-${SIZE} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n`)
    const answer = Buffer.concat(await socket.toArray())
    expect(answer.subarray(answer.indexOf('\r\n\r\n') + 4).equals(bytes.subarray(5))).toBe(true)
  })

  itUnless(await needsSyscalls(), 'goes on by buffers when the sender has been closed', async () => {
    const own = await startFileSender(() => {})
    if ('missing' in own) throw new Error(own.missing)
    await using server = await fileServer({ file, sender: own.sender })
    await using client = await rawClient({ port: server.port })
    client.ask(`/0-${SIZE}`)
    await client.begin()
    await own.sender.close()
    await expect(client.answer()).rejects.toThrow('connection ended')
    expect(await server.outcomes[0]).toMatchObject({ code: 'ECANCELED' })
    await using next = await rawClient({ port: server.port })
    next.ask(`/0-${SIZE}`)
    expect((await next.answer()).equals(bytes)).toBe(true)
  })
})
