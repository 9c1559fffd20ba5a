import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { expect, it } from 'vitest'
import { oneConnection } from '../../bench/one-connection.ts'
import { startRequestCounter } from '../../bench/request-counter.ts'

it('counts what reaches a store, by kind, and hands on requests and answers as they are', async ({
  signal,
}) => {
  const received: unknown[] = []
  const store = createServer(async (request, response) => {
    const { method, url, headers } = request
    received.push([method, url, headers['x-amz-copy-source'], (await buffer(request)).length])
    response.writeHead(url === '/b/missing' ? 404 : 200, { Location: `/from${url}` }).end()
  })
  await new Promise<void>(resolve => store.listen(0, '127.0.0.1', resolve))
  // A TCP server's address is never a string.
  const { port } = store.address() as AddressInfo
  await using counter = await startRequestCounter(`http://127.0.0.1:${port}`)
  const client = oneConnection(Number(new URL(counter.endpoint).port))
  const io = { signal }
  await client.ask(200, '/b/before', {}, io)
  const locations: string[] = []
  const ask = async (...[status, path, exchange]: [number, string, object]) =>
    locations.push(await client.ask(status, path, exchange, io))
  const counts = await counter.during(async () => {
    await ask(200, '/b/part?partNumber=1&uploadId=2', {
      method: 'PUT',
      body: [Buffer.alloc(7), Buffer.alloc(3)],
    })
    await ask(200, '/b/copy', { method: 'PUT', headers: { 'x-amz-copy-source': 'b/part' } })
    await ask(200, '/b?list-type=2', {})
    await ask(404, '/b/missing', { method: 'HEAD' })
    await ask(404, '/b/missing', { method: 'HEAD' })
  }, io)
  client.close()
  store.closeAllConnections()
  store.close()
  expect(Object.fromEntries(counts)).toEqual({ 'PUT part': 1, 'PUT copy': 1, 'GET list': 1, HEAD: 2 })
  expect(received.slice(1)).toEqual([
    ['PUT', '/b/part?partNumber=1&uploadId=2', undefined, 10],
    ['PUT', '/b/copy', 'b/part', 0],
    ['GET', '/b?list-type=2', undefined, 0],
    ['HEAD', '/b/missing', undefined, 0],
    ['HEAD', '/b/missing', undefined, 0],
  ])
  expect(locations[0]).toBe('/from/b/part?partNumber=1&uploadId=2')
})
