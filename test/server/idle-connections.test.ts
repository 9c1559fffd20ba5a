import { IncomingMessage, ServerResponse } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import { queryObjects } from 'node:v8'
import { expect, it } from 'vitest'
import { startRegistry } from '../helpers/registry.ts'
import { closed, open } from '../helpers/requests.ts'

it('holds on to no request of a connection that is idle', async () => {
  await using registry = await startRegistry()
  const count = () => Number(queryObjects(IncomingMessage)) + Number(queryObjects(ServerResponse))
  const before = count()
  const sockets = []
  for (let each = 0; each < 5; each++) {
    const socket = await open(registry.port, 'GET /v2/ HTTP/1.1\r\nHost: test\r\n\r\n')
    await new Promise(resolve => socket.once('data', resolve))
    sockets.push(socket)
  }
  await setImmediate()
  expect(count() - before).toBe(0)
  for (const socket of sockets) {
    socket.end()
    await closed(socket)
  }
})
