import { once } from 'node:events'
import net from 'node:net'
import { join } from 'node:path'
import { kill } from 'node:process'
import { expect, it } from 'vitest'
import { digestsOf, image } from '../helpers/images.ts'
import { isAlive, killHard, primaryOf, workersOf } from '../helpers/processes.ts'
import { pullDigests, pushImage } from '../helpers/push.ts'
import { startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'
import { answering, ping } from '../helpers/workers.ts'

const twoWorkers = { env: { SLIPWAY_WORKERS: '2' } }

it('replaces a worker that was killed, and goes on', async () => {
  await using server = await startServer(twoWorkers)
  await answering(server, 2)
  const repository = { address: server.address, name: 'faults/worker' }
  const pushed = image({ seed: 'worker', layers: [300, 100_000] })
  await pushImage(repository, pushed, 'tag')
  const before = workersOf(server)
  expect(before).toHaveLength(2)
  const [killed = 0] = before
  killHard(killed)
  await until('there are two again', () => {
    const workers = workersOf(server)
    return workers.length === 2 && !workers.includes(killed)
  })
  await until('its end is reported', () => server.log.some(line => line.msg === 'worker ended'))
  expect(server.log.find(line => line.msg === 'worker ended')).toMatchObject({
    pid: primaryOf(server),
    worker: before[0],
    signal: 'SIGKILL',
  })
  expect((await pullDigests(repository, 'tag')).all).toEqual(digestsOf(pushed))
  await pushImage(repository, image({ seed: 'worker again', layers: [100_000] }), 'again')
})

it('survives the death of a worker as connections are handed to it', { timeout: 40_000 }, async () => {
  await using server = await startServer(twoWorkers)
  const primary = primaryOf(server)
  for (let round = 0; round < 3; round++) {
    await answering(server, 2)
    const [killed = 0] = workersOf(server)
    // What happens while it stands still, it finds all at once.
    kill(primary, 'SIGSTOP')
    killHard(killed)
    const leave = new AbortController()
    const waiting = Array.from({ length: 8 }, () => ping(server, leave.signal))
    kill(primary, 'SIGCONT')
    await until('it is replaced', () => {
      const found = workersOf(server)
      return found.length === 2 && !found.includes(killed)
    })
    await until('requests are answered', async () => (await ping(server)) === 200)
    // Node goes on waiting for the dead one to take what it was handed: those clients never get an answer.
    leave.abort()
    await Promise.all(waiting)
  }
  expect(isAlive(primary)).toBe(true)
})

it('survives a process that leaves the folder’s owner in the middle of an answer', async () => {
  await using server = await startServer(twoWorkers)
  for (let round = 0; round < 5; round++) {
    const socket = net.connect({ path: join(server.data ?? '', 'owner.sock') })
    // What it has not read makes its end an error to the other side.
    socket.pause()
    await once(socket, 'connect')
    socket.write('{"id":1,"op":"hello"}\n'.repeat(20))
    await until('the owner answers others', async () => (await ping(server)) === 200)
    socket.destroy()
  }
  await pushImage(
    { address: server.address, name: 'faults/owner' },
    image({ seed: 'owner', layers: [300] }),
    'tag',
  )
  expect(isAlive(primaryOf(server))).toBe(true)
})
