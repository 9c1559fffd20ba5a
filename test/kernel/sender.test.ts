import { execFile } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Worker } from 'node:worker_threads'
import koffi from 'koffi'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { type FileSender, startFileSender } from '../../kernel/sender.ts'
import { describeUnless, needsSyscalls } from '../helpers/obstacles.ts'
import { pair } from '../helpers/pair.ts'
import { openDescriptors } from '../helpers/processes.ts'
import { io } from '../helpers/waiting.ts'

const MIB = 1024 * 1024
const SIZE = 64 * MIB
const bytes = randomFillSync(Buffer.allocUnsafe(SIZE))
const folder = await mkdtempDisposable(join(tmpdir(), 'slipway-test-'))
const path = join(folder.path, 'content')

beforeAll(() => writeFile(path, bytes))
afterAll(() => folder[Symbol.asyncDispose]())

const defaultCongestionControl = readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim()

function congestionControlOf(fd: number): string {
  const libc = koffi.load(null)
  const getsockopt = libc.func('int getsockopt(int, int, int, void *, uint32_t *)')
  const name = Buffer.alloc(16)
  // <netinet/tcp.h>: IPPROTO_TCP, TCP_CONGESTION
  if (getsockopt(fd, 6, 13, name, new Uint32Array([name.length])) < 0) throw new Error('getsockopt failed')
  return name.toString('latin1').replace(/\0.*$/, '')
}

async function started(
  onLost: (cause: Error) => void = () => {},
  idleMs?: number,
): Promise<FileSender & AsyncDisposable> {
  const result = await startFileSender(onLost, idleMs)
  if ('missing' in result) throw new Error(result.missing)
  return { ...result.sender, [Symbol.asyncDispose]: () => result.sender.close() }
}

async function opened() {
  const both = await pair()
  return { ...both, fd: both.fd() ?? -1 }
}

function openContent(): Disposable & { readonly fd: number } {
  const fd = openSync(path, 'r')
  return { fd, [Symbol.dispose]: () => closeSync(fd) }
}

async function take(socket: Socket, size: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let taken = 0
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk)
    taken += chunk.length
    if (taken >= size) break
  }
  return Buffer.concat(chunks)
}

describeUnless(await needsSyscalls(), 'a file sender', () => {
  it('sends range after range, and leaves both descriptors open', async () => {
    await using sender = await started()
    await using to = await opened()
    using file = openContent()
    for (const [start, end] of [
      [0, SIZE],
      [5, 5],
      [MIB + 1, 9 * MIB],
    ] as const) {
      const [received] = await Promise.all([
        take(to.far, end - start || 1).then(all => all.subarray(0, end - start)),
        sender.send(to.fd, file.fd, start, end, io),
        ...(start === end ? [to.near.write('x')] : []),
      ])
      expect(received.equals(bytes.subarray(start, end))).toBe(true)
    }
  })

  it('sends every byte to a client that takes them in fits and starts', async () => {
    await using sender = await started()
    await using to = await opened()
    using file = openContent()
    const taken: Buffer[] = []
    to.far.on('data', (chunk: Buffer) => {
      taken.push(chunk)
      if (taken.length % 7 !== 0) return
      to.far.pause()
      setTimeout(() => to.far.resume(), taken.length % 3)
    })
    await sender.send(to.fd, file.fd, 0, SIZE, io)
    to.near.end()
    await once(to.far, 'end')
    expect(Buffer.concat(taken).equals(bytes)).toBe(true)
  })

  it('sends to several clients at once, to each what is for it', async () => {
    await using sender = await started()
    using file = openContent()
    await Promise.all(
      [0, 5, MIB, 7 * MIB + 3].map(async start => {
        await using to = await opened()
        const end = start + 40 * MIB
        const [received] = await Promise.all([
          take(to.far, end - start),
          sender.send(to.fd, file.fd, start, end, io),
        ])
        expect(received.equals(bytes.subarray(start, end))).toBe(true)
      }),
    )
  })

  it.for([
    [true, 'reno'],
    [false, defaultCongestionControl],
  ] as const)('to the same host (%s) goes by %s', async ([isSameHost, expected]) => {
    await using sender = await started()
    await using to = await opened()
    using file = openContent()
    await sender.send(to.fd, file.fd, 0, 10, { ...io, isSameHost })
    expect(congestionControlOf(to.fd)).toBe(expected)
  })

  it('says how far it came when the file is too short', async () => {
    await using sender = await started()
    await using to = await opened()
    using file = openContent()
    to.far.resume()
    const sending = sender.send(to.fd, file.fd, SIZE - 3 * MIB, SIZE + 1, io)
    await expect(sending).rejects.toMatchObject({ code: 'ENODATA', moved: 3 * MIB })
  })

  it('survives descriptors that are none', async () => {
    await using sender = await started()
    await using to = await opened()
    using file = openContent()
    await expect(sender.send(to.fd, 999_999, 0, 10, io)).rejects.toMatchObject({
      code: 'EBADF',
      moved: 0,
    })
    await expect(sender.send(999_999, file.fd, 0, 10, io)).rejects.toMatchObject({
      code: 'EBADF',
      moved: 0,
    })
    await expect(sender.send(to.fd, file.fd, 0.5, 10, io)).rejects.toMatchObject({ moved: 0 })
    await sender.send(to.fd, file.fd, 0, 10, io)
    expect(await take(to.far, 10)).toEqual(bytes.subarray(0, 10))
  })

  it('notices that the client is gone', async () => {
    await using sender = await started()
    await using to = await opened()
    using file = openContent()
    const sending = sender.send(to.fd, file.fd, 0, SIZE, io)
    to.far.resetAndDestroy()
    await expect(sending).rejects.toMatchObject({ code: expect.stringMatching(/^(EPIPE|ECONNRESET)$/) })
  })

  it('gives up a client that takes nothing, and says how far it came', async () => {
    await using sender = await started(() => {}, 100)
    await using to = await opened()
    using file = openContent()
    to.far.pause()
    const sending = sender.send(to.fd, file.fd, 0, SIZE, io)
    const error = await sending.catch(reason => reason)
    expect(error).toMatchObject({ code: 'ETIMEDOUT' })
    to.near.end()
    const received = Buffer.concat(await to.far.toArray())
    expect(received.length).toBe(error.moved)
    expect(received.equals(bytes.subarray(0, error.moved))).toBe(true)
  })

  it('goes on with its own descriptor when the socket is closed here, until it is told to stop', async () => {
    await using sender = await started()
    await using to = await opened()
    using file = openContent()
    const stop = new AbortController()
    const sending = sender.send(to.fd, file.fd, 0, SIZE, stop)
    to.near.destroy()
    await once(to.near, 'close')
    stop.abort(new Error('enough'))
    await expect(sending).rejects.toBe(stop.signal.reason)
  })

  it('sends nothing for a signal that has aborted', async () => {
    await using sender = await started()
    await using to = await opened()
    using file = openContent()
    const signal = AbortSignal.abort(new Error('too late'))
    await expect(sender.send(to.fd, file.fd, 0, SIZE, { signal })).rejects.toBe(signal.reason)
    to.near.end('nothing else')
    expect(String(Buffer.concat(await to.far.toArray()))).toBe('nothing else')
  })

  it('rejects what is in flight, and all that follows, when it is closed', async () => {
    await using to = await opened()
    using file = openContent()
    const before = openDescriptors()
    const sender = await started()
    const sending = sender.send(to.fd, file.fd, 0, SIZE, io)
    const [closing] = await Promise.allSettled([sender.close(), sender.close(), sending])
    expect(closing.status).toBe('fulfilled')
    await expect(sending).rejects.toMatchObject({ code: 'ECANCELED' })
    await expect(sender.send(to.fd, file.fd, 0, 1, io)).rejects.toMatchObject({ moved: 0 })
    await vi.waitFor(() => expect(openDescriptors()).toBe(before))
  })

  it('reports a thread that is lost, and rejects like a closed one', async () => {
    await using to = await opened()
    using file = openContent()
    const thread = new Promise<Worker>(resolve => process.once('worker', resolve))
    const lost = Promise.withResolvers<Error>()
    const sender = await started(lost.resolve)
    const sending = sender.send(to.fd, file.fd, 0, SIZE, io)
    await Promise.all([
      expect(sending).rejects.toMatchObject({ moved: undefined }),
      (await thread).terminate(),
    ])
    expect(await lost.promise).toBeInstanceOf(Error)
    await expect(sender.send(to.fd, file.fd, 0, 1, io)).rejects.toMatchObject({ moved: 0 })
    await sender.close()
  })

  it.for(['', 'process.exit()'])('lets the process end: %j', async last => {
    const module = new URL('../../kernel/sender.ts', import.meta.url)
    const script = `
      import { openSync } from 'node:fs'
      import { connect, createServer } from 'node:net'
      import { startFileSender } from ${JSON.stringify(module.href)}
      const { sender } = await startFileSender(() => {})
      const server = createServer(socket => {
        const signal = new AbortController().signal
        sender.send(socket._handle.fd, openSync(${JSON.stringify(path)}), 0, ${SIZE}, { signal }).catch(() => {})
        socket.unref()
        server.close()
        ${last}
      }).listen(0, '127.0.0.1', () => connect(server.address().port).unref())`
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { timeout: 10_000 })
  })
})
