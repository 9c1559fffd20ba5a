import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempDisposableSync, openSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Worker } from 'node:worker_threads'
import { expect, it, vi } from 'vitest'
import { chunked } from '../helpers/chunked.ts'
import { randomBytes } from '../helpers/images.ts'
import { describeUnless, needsSyscalls } from '../helpers/obstacles.ts'
import { pair } from '../helpers/pair.ts'
import { openDescriptors } from '../helpers/processes.ts'
import { inChunks, inOne, nothing, reception, started, target } from '../helpers/reception.ts'
import { until } from '../helpers/until.ts'
import { io } from '../helpers/waiting.ts'

const MIB = 1024 * 1024
const bytes = randomBytes('receiver', 8 * MIB)

describeUnless(await needsSyscalls(), 'a file receiver that cannot go on', () => {
  it.for([
    ['ends', (far: Socket) => far.end()],
    ['resets the connection', (far: Socket) => far.resetAndDestroy()],
  ] as const)('keeps what came when the sender %s too early', async ([, leave]) => {
    await using receiver = started()
    for (const framing of [inOne(2 * MIB), inChunks]) {
      await using from = await pair()
      using file = target()
      const body = framing === inChunks ? chunked(bytes, 1000) : bytes
      const receiving = receiver.receive(from.fd, reception(file.fd, { framing }), io)
      from.far.write(body.subarray(0, MIB))
      await Promise.all([
        expect(receiving).rejects.toMatchObject({ code: 'ECONNRESET', moved: expect.any(Number) }),
        until('it is stored', async () => (await file.content()).length > 1_000_000).then(() =>
          leave(from.far),
        ),
      ])
      const content = await file.content()
      const error = await receiving.catch((reason: { moved: number }) => reason)
      expect(error).toMatchObject({ moved: content.length })
      expect(content.equals(bytes.subarray(0, content.length))).toBe(true)
    }
  })

  it('cuts off a sender that says nothing', async () => {
    await using receiver = started()
    await using from = await pair()
    using file = target()
    from.far.write('5\r\nab')
    const pace = { idleMs: 100, bytesPerSecond: 0 }
    const receiving = receiver.receive(from.fd, reception(file.fd, { pace }), io)
    await expect(receiving).rejects.toMatchObject({ code: 'ETIMEDOUT', moved: 2 })
    expect(String(await file.content())).toBe('ab')
  })

  it('cuts off a sender that drips, and no other', async () => {
    await using receiver = started()
    await using slow = await pair()
    await using steady = await pair()
    using dripped = target()
    using poured = target()
    const pace = { idleMs: 100, bytesPerSecond: 10_000 }
    const drip = setInterval(() => {
      slow.far.write('1\r\nx\r\n')
      steady.far.write(chunked(bytes.subarray(0, 10_000), 10_000, 'open'))
    }, 10)
    const other = receiver.receive(steady.fd, reception(poured.fd, { pace }), io)
    try {
      await expect(receiver.receive(slow.fd, reception(dripped.fd, { pace }), io)).rejects.toMatchObject({
        code: 'ETIMEDOUT',
        moved: expect.any(Number),
      })
    } finally {
      clearInterval(drip)
    }
    steady.far.write('0\r\n\r\n')
    expect((await other).bytes).toBe((await poured.content()).length)
  })

  it('stops when it is told to, and says why', async () => {
    await using receiver = started()
    await using from = await pair()
    using file = target()
    const stop = new AbortController()
    from.far.write(bytes.subarray(0, 1000))
    const receiving = receiver.receive(from.fd, reception(file.fd, { framing: inOne(2000) }), stop)
    const stopped = expect(receiving).rejects.toThrow('enough')
    await until('it is stored', async () => (await file.content()).length === 1000)
    stop.abort(new Error('enough'))
    await stopped
    from.far.end('for another')
    expect(String(Buffer.concat(await from.near.toArray()))).toBe('for another')
  })

  it('reads nothing for a signal that has aborted', async () => {
    await using receiver = started()
    await using from = await pair()
    using file = target()
    const signal = AbortSignal.abort(new Error('too late'))
    const late = receiver.receive(from.fd, reception(file.fd, { first: bytes }), { signal })
    await expect(late).rejects.toBe(signal.reason)
    expect(await file.content()).toEqual(nothing)
  })

  it('says what the disk says', async () => {
    await using receiver = started()
    for (const [first, body] of [
      [nothing, bytes.subarray(0, 1000)],
      [bytes.subarray(0, 10), nothing],
    ] as const) {
      await using from = await pair()
      const full = openSync('/dev/full', 'w')
      from.far.write(body)
      const receiving = receiver.receive(from.fd, reception(full, { first, framing: inOne(1000) }), io)
      await expect(receiving).rejects.toMatchObject({ code: 'ENOSPC', moved: 0 })
      closeSync(full)
    }
  })

  it.for([
    ['at once', 'x\r\n', 0],
    ['behind a chunk', '3\r\nabc\r\nx\r\n', 0],
    ['behind data', '3\r\nabcd\r\n', 0],
    ['behind much', `${chunked(bytes.subarray(0, MIB), 1000, 'open').toString('latin1')}x`, 500_000],
  ] as const)('refuses chunks that are none: %s', async ([, body, least]) => {
    await using receiver = started()
    await using from = await pair()
    using file = target()
    from.far.write(body, 'latin1')
    const failure = await receiver.receive(from.fd, reception(file.fd, {}), io).catch(error => error)
    const content = await file.content()
    expect(failure).toMatchObject({ code: 'EBADMSG', moved: content.length })
    expect(content.length).toBeGreaterThanOrEqual(least)
    if (least > 0) expect(content.equals(bytes.subarray(0, content.length))).toBe(true)
  })

  it('survives descriptors that are none', async () => {
    await using receiver = started()
    await using from = await pair()
    using file = target()
    from.far.write(bytes.subarray(0, 10))
    const framing = inOne(10)
    const none = { code: 'EBADF', moved: 0 }
    await expect(receiver.receive(() => 999_999, reception(file.fd, { framing }), io)).rejects.toMatchObject(
      none,
    )
    await expect(receiver.receive(from.fd, reception(999_999, { framing }), io)).rejects.toMatchObject(none)
    await expect(
      receiver.receive(from.fd, reception(file.fd, { framing, algorithm: 'none' }), io),
    ).rejects.toBeInstanceOf(Error)
    from.far.write(bytes.subarray(10, 20))
    await receiver.receive(from.fd, reception(file.fd, { framing }), io)
    expect(receiver.isAvailable()).toBe(true)
  })

  it('lets go of everything that failed', async () => {
    const before = openDescriptors()
    {
      await using receiver = started()
      const one = async (_: unknown, index: number) => {
        await using from = await pair()
        using file = target()
        const stop = new AbortController()
        const receiving = receiver.receive(from.fd, reception(file.fd, {}), stop)
        const failed = expect(receiving).rejects.toBeInstanceOf(Error)
        from.far.write('10\r\nabc')
        if (index % 4 === 0) from.far.resetAndDestroy()
        else if (index % 4 === 1) from.far.write('\r\n'.repeat(20))
        else if (index % 4 === 2) from.far.end()
        else stop.abort(new Error('enough'))
        await failed
      }
      await Promise.all(Array.from({ length: 40 }, one))
    }
    await vi.waitFor(() => expect(openDescriptors()).toBe(before))
  })

  it('goes on with its own descriptor when the socket is closed here, until it is told to stop', async () => {
    await using receiver = started()
    await using from = await pair()
    using file = target()
    const stop = new AbortController()
    from.far.write('5\r\nab')
    const receiving = receiver.receive(from.fd, reception(file.fd, {}), stop)
    const stopped = expect(receiving).rejects.toThrow('enough')
    await until('it is stored', async () => (await file.content()).length === 2)
    from.near.destroy()
    await once(from.near, 'close')
    // The number is another's now, and nothing of that one arrives here.
    await using other = await pair()
    other.far.write('XYZ')
    from.far.write('cde')
    await until('it is stored', async () => (await file.content()).length === 5)
    stop.abort(new Error('enough'))
    await stopped
    expect(String(await file.content())).toBe('abcde')
  })

  it('takes no other socket for one that is closed while the thread starts', async () => {
    await using receiver = started()
    await using from = await pair()
    using file = target()
    const receiving = receiver.receive(from.fd, reception(file.fd, {}), io)
    const rejected = expect(receiving).rejects.toMatchObject({ code: 'ECONNRESET', moved: 0 })
    from.near.destroy()
    // It gets the lowest free number.
    await using other = await pair()
    other.far.end('5\r\nabcde\r\n0\r\n\r\n')
    await rejected
    expect(String(Buffer.concat(await other.near.toArray()))).toContain('abcde')
    expect(await file.content()).toEqual(nothing)
  })

  it('rejects what is in flight, and all that follows, when it is closed', async () => {
    await using from = await pair()
    using file = target()
    const before = openDescriptors()
    const receiver = started()
    from.far.write('5\r\nab')
    const receiving = receiver.receive(from.fd, reception(file.fd, {}), io)
    const rejected = expect(receiving).rejects.toMatchObject({ code: 'ECANCELED' })
    await until('it is stored', async () => (await file.content()).length === 2)
    await Promise.all([receiver.close(), receiver.close(), rejected])
    expect(receiver.isAvailable()).toBe(false)
    await expect(receiver.receive(from.fd, reception(file.fd, {}), io)).rejects.toMatchObject({ moved: 0 })
    await vi.waitFor(() => expect(openDescriptors()).toBe(before))
  })

  it('starts no thread once it is closed', async () => {
    await using from = await pair()
    using file = target()
    const onThread = vi.fn()
    process.once('worker', onThread)
    const receiver = started()
    await receiver.close()
    await expect(receiver.receive(from.fd, reception(file.fd, {}), io)).rejects.toMatchObject({ moved: 0 })
    process.off('worker', onThread)
    expect(onThread).not.toHaveBeenCalled()
  })

  it('reports a thread that is lost once, and rejects like a closed one', async () => {
    await using from = await pair()
    using file = target()
    const before = openDescriptors()
    const thread = new Promise<Worker>(resolve => process.once('worker', resolve))
    const onLost = vi.fn()
    const receiver = started(onLost)
    from.far.write('5\r\nab')
    const receiving = receiver.receive(from.fd, reception(file.fd, {}), io)
    const rejected = expect(receiving).rejects.toMatchObject({ code: 'ECANCELED', moved: undefined })
    await until('it is stored', async () => (await file.content()).length === 2)
    await Promise.all([rejected, (await thread).terminate()])
    expect(onLost.mock.calls).toEqual([[expect.any(Error)]])
    expect(receiver.isAvailable()).toBe(false)
    await expect(receiver.receive(from.fd, reception(file.fd, {}), io)).rejects.toMatchObject({ moved: 0 })
    await receiver.close()
    await vi.waitFor(() => expect(openDescriptors()).toBe(before))
  })

  it.for(['', 'process.exit()'])('lets the process end: %j', async last => {
    const module = new URL('../../kernel/receiver.ts', import.meta.url)
    using folder = mkdtempDisposableSync(join(tmpdir(), 'slipway-test-'))
    const path = join(folder.path, 'left')
    const script = `
      import { openSync } from 'node:fs'
      import { connect, createServer } from 'node:net'
      import { fileReceiver } from ${JSON.stringify(module.href)}
      const receiver = fileReceiver(() => {})
      const server = createServer({ pauseOnConnect: true }, async socket => {
        const { signal } = new AbortController()
        const file = openSync(${JSON.stringify(path)}, 'w')
        const receive = length => receiver.receive(
          () => socket._handle.fd,
          { file, position: 0, first: Buffer.alloc(0), framing: { kind: 'length', bytes: length },
            algorithm: 'sha256', pace: { idleMs: 60000, bytesPerSecond: 0 } },
          { signal })
        await receive(1)
        receive(10).catch(() => {})
        socket.unref()
        server.close()
        ${last}
      }).listen(0, '127.0.0.1', () => connect(server.address().port).unref().write('x'))`
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { timeout: 10_000 })
  })
})
