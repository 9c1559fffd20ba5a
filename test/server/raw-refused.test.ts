/** Who goes on sending behind a refusal, with its own half of the connection left open. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, expect, it } from 'vitest'
import { startRegistry } from '../helpers/registry.ts'
import { closed } from '../helpers/requests.ts'

const registry = await startRegistry()
afterAll(() => registry[Symbol.asyncDispose]())

const MIB = 1024 * 1024

/** A connection whose manifest, of so many bytes, has been refused before any of it was sent. */
async function refused(bytes: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: registry.port, allowHalfOpen: true })
  socket.write(`PUT /v2/a/manifests/t HTTP/1.1\r\nHost: test\r\nContent-Length: ${bytes}\r\n\r\n`)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 413 /)
  // Reset or ended, it is over.
  socket.on('error', () => {})
  return socket
}

it('cuts off who asks for more, and keeps none of it', async () => {
  const socket = await refused(5 * MIB)
  socket.write(Buffer.alloc(5 * MIB))
  // Who has its own half open hears of the end only when it sends.
  const asking = setInterval(() => socket.write('GET /v2/ HTTP/1.1\r\nHost: test\r\n\r\n'.repeat(50)), 20)
  await closed(socket)
  clearInterval(asking)
})

it('takes some more of a body, and then no more', async () => {
  const socket = await refused(1024 * MIB)
  const chunk = Buffer.alloc(MIB)
  let sent = 0
  const send = () => {
    while (sent++ < 1024 && socket.write(chunk));
  }
  socket.on('drain', send)
  send()
  await closed(socket)
  // Sixteen are read; the kernel takes some for itself.
  expect(sent).toBeGreaterThan(16)
  expect(sent).toBeLessThan(64)
})
