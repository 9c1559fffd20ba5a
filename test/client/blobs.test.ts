import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { expect, it, vi } from 'vitest'
import { bytesBody } from '../../client/exchange.ts'
import { registryClient } from '../../client/registry-client.ts'
import { parseRepositoryName } from '../../oci/names.ts'
import { content } from '../helpers/blob.ts'
import { startRegistry } from '../helpers/registry.ts'
import { app, type Reply, type ScriptedServer, scriptedServer } from '../helpers/scripted-server.ts'
import { io } from '../helpers/waiting.ts'

const bob = { kind: 'password', username: 'bob', password: 's3cret' } as const
const blobsAt = (host: string, name = app) =>
  registryClient(host, { credentials: async () => bob }).repository(name).blobs

const { bytes, digest } = content('blob', 100_000)
const blob = { digest, size: bytes.length }
const read = async (host: string) => Buffer.concat(await Array.fromAsync(await blobsAt(host).open(blob, io)))

it('sends, finds and reads a blob', async () => {
  await using registry = await startRegistry()
  const { host } = new URL(registry.address)
  const blobs = blobsAt(host)

  expect(await blobs.has(digest, io)).toBe(false)
  expect(await blobs.upload(digest, { body: bytesBody(bytes) }, io)).toBe('sent')
  expect(await blobs.has(digest, io)).toBe(true)
  expect(await read(host)).toEqual(bytes)
  expect(await blobs.read(blob, bytes.length, io)).toEqual(bytes)
  await expect(blobs.read(blob, bytes.length - 1, io)).rejects.toThrow(/is longer than 99999 bytes: refused$/)
})

it('takes a blob over from another repository, or sends it where that one has none', async () => {
  await using registry = await startRegistry()
  const { host } = new URL(registry.address)
  const source = { body: bytesBody(bytes), mountFrom: app }
  const [there, elsewhere] = [parseRepositoryName('there'), parseRepositoryName('elsewhere')]

  expect(await blobsAt(host, elsewhere).upload(digest, source, io)).toBe('sent')
  await blobsAt(host).upload(digest, { body: bytesBody(bytes) }, io)
  expect(await blobsAt(host, there).upload(digest, source, io)).toBe('mounted')
  expect(await blobsAt(host, there).has(digest, io)).toBe(true)
})

it('goes on with the upload that a registry begins instead of a mount', async () => {
  await using server = await scriptedServer(({ method }) =>
    method === 'POST' ? { status: 202, headers: { Location: '/begun' } } : { status: 201 },
  )

  await blobsAt(server.host).upload(digest, { body: bytesBody(bytes), mountFrom: app }, io)

  expect(server.asked.map(({ method, path }) => `${method} ${path.split('?')[0]}`)).toEqual([
    'POST /v2/team/app/blobs/uploads/',
    'PUT /begun',
  ])
})

it('sends a blob where a mount is refused', async () => {
  await using server = await scriptedServer(({ method, path }) => {
    if (path.includes('mount=')) return { status: 403 }
    return method === 'POST' ? { status: 202, headers: { Location: '/up?a=%2B' } } : { status: 201 }
  })

  const sent = await blobsAt(server.host).upload(digest, { body: bytesBody(bytes), mountFrom: app }, io)

  expect(sent).toBe('sent')
  expect(server.asked.at(-1)).toMatchObject({
    path: `/up?a=%2B&digest=${encodeURIComponent(digest)}`,
    body: bytes,
  })
})

it.for<[what: string, reply: Reply, why: RegExp]>([
  [
    'other bytes',
    { body: content('other', bytes.length).bytes },
    /holds other bytes than those of sha256:\w+: refused$/,
  ],
  ['another length', { body: bytes.subarray(1) }, /has 99999 bytes, not 100000: refused$/],
  [
    'fewer bytes and no length',
    { body: bytes.subarray(1), chunked: true },
    /ended after 99999 of 100000 bytes: try again$/,
  ],
  [
    'more bytes and no length',
    {
      body: Buffer.concat([bytes, bytes]),
      chunked: true,
    },
    /is longer than its 100000 bytes: refused$/,
  ],
  [
    'half',
    { body: bytes.subarray(50_000), headers: { 'Content-Length': '100000' }, cut: true },
    /was cut off: try again$/,
  ],
])('refuses %s', async ([, reply, why]) => {
  await using server = await scriptedServer(() => reply)

  await expect(read(server.host)).rejects.toThrow(why)
})

/** Knows bob and sends whoever is known to the other place. */
const guarded = (reply: Reply) =>
  scriptedServer(({ headers }) =>
    headers.authorization ? reply : { status: 401, headers: { 'WWW-Authenticate': 'Basic realm="x"' } },
  )
const authorizations = ({ asked }: ScriptedServer) => asked.map(({ headers }) => headers.authorization)

it('reads from another host without saying there who it is', async () => {
  await using storage = await scriptedServer(() => ({ body: bytes }))
  await using server = await guarded({ status: 307, headers: { Location: `${storage.url}b?signed=1` } })

  expect(await read(server.host)).toEqual(bytes)
  expect(authorizations(server).at(-1)).toMatch(/^Basic /)
  expect(authorizations(storage)).toEqual([undefined])
})

it('uploads to another host without saying there who it is', async () => {
  await using storage = await scriptedServer(() => ({ status: 201 }))
  await using server = await guarded({ status: 202, headers: { Location: `${storage.url}u` } })

  await blobsAt(server.host).upload(digest, { body: bytesBody(bytes) }, io)

  expect(storage.asked).toMatchObject([{ method: 'PUT', body: bytes }])
  expect(authorizations(storage)).toEqual([undefined])
})

it('sends a body again, from its beginning, when it is let in at the second try', async () => {
  await using server = await scriptedServer(({ method, headers }) => {
    if (method === 'POST') return { status: 202, headers: { Location: '/up' } }
    return headers.authorization
      ? { status: 201 }
      : { status: 401, headers: { 'WWW-Authenticate': 'Basic realm="x"' } }
  })

  await blobsAt(server.host).upload(digest, { body: bytesBody(bytes) }, io)

  expect(server.asked.slice(1).map(({ body }) => body.equals(bytes))).toEqual([true, true])
})

it('stops sending when it is refused, and gives the connection up', async () => {
  let connection: Socket | undefined
  const server = createServer((req, res) => {
    if (req.method === 'POST') return res.writeHead(202, { Location: '/up' }).end()
    connection = req.socket
    return req.once('data', () => res.writeHead(413, { 'Content-Length': 0 }).end())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A TCP server's address is never a string.
  const { port } = server.address() as AddressInfo
  const size = 2 ** 30
  let pulled = 0
  const body = {
    size,
    async *open() {
      for (; pulled < size; pulled += 2 ** 16) yield Buffer.alloc(2 ** 16)
    },
  }

  await expect(blobsAt(`127.0.0.1:${port}`).upload(digest, { body }, io)).rejects.toMatchObject({
    status: 413,
  })
  expect(pulled).toBeLessThan(2 ** 26)
  await vi.waitFor(() => expect(connection?.destroyed).toBe(true))
  server.close().closeAllConnections()
})

it('fails as its source does', async () => {
  await using server = await scriptedServer(() => ({ status: 202, headers: { Location: '/up' } }))
  const body = {
    size: bytes.length,
    async *open() {
      yield bytes.subarray(1)
      throw new Error('the source broke')
    },
  }

  await expect(blobsAt(server.host).upload(digest, { body }, io)).rejects.toThrow('the source broke')
})

it('asks again when a connection at rest has ended', async () => {
  const requests: number[] = []
  const server = createTcpServer(socket => {
    const connection = requests.push(0) - 1
    socket.on('data', () => {
      requests[connection] = (requests[connection] ?? 0) + 1
      if (requests[connection] === 2) socket.resetAndDestroy()
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const blobs = blobsAt(`127.0.0.1:${port}`)

  expect([await blobs.has(digest, io), await blobs.has(digest, io)]).toEqual([true, true])
  expect(requests).toEqual([2, 1])
  server.close()
})

it('ends when it is told to', async () => {
  const abort = new AbortController()
  await using server = await scriptedServer(() => {
    abort.abort(new Error('enough'))
    return {}
  })

  await expect(blobsAt(server.host).has(digest, { signal: abort.signal })).rejects.toThrow('enough')
})

it('says what to do about a registry that is not there', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')

  await expect(blobsAt(`127.0.0.1:${port}`).has(digest, io)).rejects.toThrow(
    `127.0.0.1:${port} cannot be reached: nothing listens there: check the host and the port`,
  )
})
