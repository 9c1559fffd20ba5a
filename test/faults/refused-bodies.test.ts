import { expect, it } from 'vitest'
import { startServer } from '../helpers/server.ts'

const MIB = 1024 * 1024

it.for([5, 8, 64])('lets a client that goes on sending %i MiB see every refusal', async size => {
  // In a process of its own: one that shares the client's event loop never reads less than the client sends.
  await using server = await startServer({})
  const body = new Uint8Array(size * MIB)
  const url = new URL('/v2/a/manifests/t', server.address)
  for (let round = 0; round < 20; round++)
    expect((await fetch(url, { method: 'PUT', body })).status).toBe(413)
})
