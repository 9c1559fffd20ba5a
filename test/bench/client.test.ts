import { createHash } from 'node:crypto'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { tryClient } from '../../bench/run-client.ts'
import { wrongLogins } from '../../bench/wrong-logins.ts'
import { until } from '../helpers/until.ts'

async function listen(listener: RequestListener) {
  const server = createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  // A TCP server's address is never a string.
  const { port } = server.address() as AddressInfo
  return {
    port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

const megabyte = Buffer.alloc(1_000_000, 'x')
const getJob = {
  kind: 'get',
  method: 'GET',
  path: '/blob',
  bytes: megabyte.length,
  connections: 3,
  seconds: 0.2,
} as const

describe('the client of the bench', () => {
  it.for([false, true])('counts every byte of every body (copy: %s)', async (copy, { signal }) => {
    let answered = 0
    await using server = await listen((_request, response) => {
      answered++
      response.end(megabyte)
    })
    const report = await tryClient({ ...getJob, port: server.port, copy }, { signal })
    expect(report).toMatchObject({ failures: 0, requests: answered, bytes: answered * megabyte.length })
    expect(answered).toBeGreaterThan(2)
  })

  it('goes where it is sent to for a body', async ({ signal }) => {
    const asked: string[] = []
    await using store = await listen((request, response) => {
      asked.push(request.url ?? '')
      response.end(megabyte)
    })
    const location = `http://127.0.0.1:${store.port}/bucket/blob?signature=1`
    await using server = await listen((_request, response) => response.writeHead(307, { location }).end())
    const job = { ...getJob, port: server.port, redirectPort: store.port }
    const report = await tryClient(job, { signal })
    expect(report).toMatchObject({
      failures: 0,
      requests: asked.length,
      bytes: asked.length * megabyte.length,
    })
    expect(new Set(asked)).toEqual(new Set(['/bucket/blob?signature=1']))
  })

  it.for([
    ['a body that ends early', /500000 bytes, 1000000 were announced/],
    ['a body of another length', /7 bytes, expected 1000000/],
    ['an error', /status 503, expected 200: .*busy/s],
  ] as const)('counts %s as a failure', async ([what, message], { signal }) => {
    await using server = await listen((_request, response) => {
      if (what === 'an error') response.writeHead(503).end('busy')
      else if (what === 'a body of another length') response.end('another')
      else {
        response.writeHead(200, { 'Content-Length': megabyte.length })
        response.write(megabyte.subarray(0, 500_000), () => response.destroy())
      }
    })
    const report = await tryClient({ ...getJob, port: server.port }, { signal })
    expect(report).toMatchObject({ requests: 0, bytes: 0 })
    expect(report.failures).toBeGreaterThan(0)
    expect(report.errors[0]).toMatch(message)
  })

  it('believes the length that an answer to HEAD announces', async ({ signal }) => {
    await using server = await listen((_request, response) => {
      response.writeHead(200, { 'Content-Length': megabyte.length }).end()
    })
    const report = await tryClient({ ...getJob, method: 'HEAD', port: server.port }, { signal })
    expect(report.failures).toBe(0)
    expect(report.bytes).toBe(report.requests * megabyte.length)
  })

  it.for([
    ['chunked', 100_000, 3],
    ['whole', 4096, 2],
  ] as const)('pushes blobs (%s) that have their digest', async ([way, bytes, steps], { signal }) => {
    const digests: string[] = []
    let steered = 0
    let body = Buffer.alloc(0)
    await using server = await listen(async (request, response) => {
      steered++
      const received = await buffer(request)
      if (received.length > 0) body = received
      const digest = new URL(request.url ?? '', 'http://localhost').searchParams.get('digest')
      response.setHeader('Location', 'http://127.0.0.1/upload?state=1')
      if (digest === null) return response.writeHead(202).end()
      digests.push(digest)
      const right =
        body.length === bytes && digest === `sha256:${createHash('sha256').update(body).digest('hex')}`
      return response.writeHead(right ? 201 : 400).end()
    })
    const port = server.port
    const load = {
      kind: 'push',
      port,
      repository: 'a/b',
      connections: 1,
      bytes,
      way,
      until: { count: 4 },
    } as const
    const report = await tryClient(load, { signal })
    expect(report).toMatchObject({ failures: 0, requests: 4, bytes: 4 * bytes, errors: [] })
    expect(new Set(digests).size).toBe(4)
    expect(steered).toBe(4 * steps)
  })

  it('puts every tag once', async ({ signal }) => {
    const tags = new Set<string>()
    await using server = await listen((request, response) => {
      tags.add(request.url ?? '')
      request.resume().once('end', () => response.writeHead(201).end())
    })
    const manifest = { repository: 'a', manifest: '{}', mediaType: 'application/json' }
    const report = await tryClient(
      { kind: 'tags', port: server.port, connections: 4, count: 50, ...manifest },
      { signal },
    )
    expect(report).toMatchObject({ failures: 0, requests: 50 })
    expect(report.tenths).toHaveLength(10)
    expect(tags.size).toBe(50)
    expect(tags).toContain('/v2/a/manifests/v000049')
  })
})

describe('who guesses passwords for the bench', () => {
  it('waits for no answer, comes from many networks, and tells who was answered what', async ({ signal }) => {
    const [networks, names] = [new Set<string>(), new Set<string>()]
    const held: ServerResponse[] = []
    const statuses = [401, 401, 429, 503]
    const answer = (response: ServerResponse, number: number) =>
      response.writeHead(statuses[number % statuses.length] ?? 0).end()
    await using server = await listen((request, response) => {
      const from = request.socket.remoteAddress ?? ''
      networks.add(from.slice(0, from.lastIndexOf('.')))
      names.add(request.headers.authorization ?? '')
      held.push(response)
      // Nobody is answered before eight have come.
      if (held.length === 8) held.forEach(answer)
      else if (held.length > 8) answer(response, held.length)
    })
    const attacker = wrongLogins(server.port, 500)
    const eightCame = until('eight to come', () => held.length >= 8)
    const { report } = await attacker.during(() => eightCame, { signal })
    expect(report.sent).toBeGreaterThanOrEqual(8)
    expect(report.hashed).toBeGreaterThanOrEqual(4)
    expect(report.hashed).toBeLessThan(report.sent)
    expect(report.others).toMatch(/^\d+ x status 429, \d+ x status 503$/)
    expect(networks.size).toBe(report.sent)
    expect(names.size).toBe(report.sent)
  })
})
