import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, open } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { durableFolders } from '../../storage/durable.ts'
import { folderRecords } from '../../storage/folder-records.ts'
import { openFolder } from '../../storage/open.ts'
import { claimFolder, connectToOwner } from '../../storage/owner.ts'
import { type OwnerClient, OwnerLeft, ownerClient } from '../../storage/owner-client.ts'
import { localReferee, type Referee } from '../../storage/referee.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { itUnless, needsRoot } from '../helpers/obstacles.ts'
import { io, soon } from '../helpers/waiting.ts'

async function folder() {
  const root = await temporaryFolder()
  const handle = await open(root)
  onTestFinished(() => handle.close())
  const folders = durableFolders(root, false)
  await folders.ensure(join(root, 'tmp'))
  const referee = localReferee(folderRecords(root, folders, false))
  const claim = (judge: Referee = referee) =>
    claimFolder(root, handle.fd, { referee: judge, hello: { pid: process.pid, role: 'server' } })
  async function client(): Promise<OwnerClient> {
    const socket = await connectToOwner(handle.fd)
    if (!socket) throw new Error('nobody owns the folder')
    return ownerClient(socket)
  }
  return { root, fd: handle.fd, referee, claim, client }
}

it('makes exactly one of many that claim at once the owner', async () => {
  for (let round = 0; round < 10; round++) {
    const { claim, client } = await folder()
    const claims = await Promise.all(Array.from({ length: 8 }, () => claim()))
    const owners = claims.filter(owner => owner !== undefined)
    expect(owners).toHaveLength(1)
    expect(await claim()).toBeUndefined()
    const asked = await client()
    expect(await asked.hello()).toEqual({ pid: process.pid, role: 'server' })
    await asked.close()
    await owners[0]?.close()
    const next = await claim()
    expect(next).toBeDefined()
    await next?.close()
  }
})

it('takes over from an owner that was killed', async () => {
  const { root, fd, claim } = await folder()
  const script = `require('net').createServer().listen(${JSON.stringify(join(root, 'owner.sock'))}, () => console.log('up'))`
  const killed = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(killed.stdout, 'data')
  expect(await claim()).toBeUndefined()
  killed.kill('SIGKILL')
  await once(killed, 'exit')
  expect(await connectToOwner(fd)).toBeUndefined()
  const claims = await Promise.all(Array.from({ length: 8 }, () => claim()))
  expect(claims.filter(Boolean)).toHaveLength(1)
  for (const owner of claims) await owner?.close()
})

it("gives a client's locks back when its connection ends", async () => {
  const { claim, client, referee } = await folder()
  const owner = await claim()
  const [first, second] = [await client(), await client()]
  const release = await first.lock('upload')
  expect(release).toBeDefined()
  expect(await second.lock('upload')).toBeUndefined()
  expect(await referee.lock('upload')).toBeUndefined()
  await release?.()
  expect(await second.lock('upload')).toBeDefined()
  await second.close()
  await expect.poll(() => first.lock('upload')).toBeDefined()
  await first.close()
  await owner?.close()
})

it('takes a lock that was given back twice from nobody else', async () => {
  const { referee } = await folder()
  const release = await referee.lock('upload')
  await release?.()
  expect(await referee.lock('upload')).toBeDefined()
  await release?.()
  expect(await referee.lock('upload')).toBeUndefined()
})

it('finishes what it is doing for a client before it gives the folder up', async () => {
  const { claim, client, referee } = await folder()
  const deciding = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<void>()
  const owner = await claim({
    ...referee,
    async removeIf() {
      asked.resolve()
      await deciding.promise
      return true
    },
  })
  const asking = await client()
  const removing = asking.removeIf('x', 'y', soon().deadlineMs)
  await asked.promise
  const closing = owner?.close()
  expect(await claim()).toBeUndefined()
  const late = asking.removeIf('z', 'y', soon().deadlineMs)
  const refused = expect(late).rejects.toBeInstanceOf(OwnerLeft)
  deciding.resolve()
  expect(await removing).toBe(true)
  await refused
  await closing
  const next = await claim()
  expect(next).toBeDefined()
  await next?.close()
})

it('refuses a second server, and lets commands in beside it', async () => {
  const root = join(await temporaryFolder(), 'deep', 'data')
  const options = { durability: 'full' as const }
  const server = await openFolder(root, 'server', options)
  await expect(openFolder(root, 'server', options)).rejects.toThrow(`in use by process ${process.pid}`)
  const commands = await Promise.all([1, 2, 3].map(() => openFolder(root, 'command', options)))
  for (const command of commands) {
    expect(command.format).toEqual(server.format)
    await command.close()
  }
  await server.close()
  const again = await openFolder(root, 'server', options)
  expect(again.format).toEqual(server.format)
  await again.close()
})

it('lets commands go on when the one that owned the folder ends', async () => {
  const root = await temporaryFolder()
  const options = { durability: 'relaxed' as const }
  const commands = await Promise.all(Array.from({ length: 5 }, () => openFolder(root, 'command', options)))
  await commands[0]?.store.write('count', Buffer.from('0'), soon({ ifAbsent: true }))
  const counting = commands.map(async ({ store, close }) => {
    for (let done = 0; done < 4; ) {
      const before = await store.read('count', io)
      const next = Buffer.from(String(Number(before?.bytes) + 1))
      if (await store.write('count', next, soon({ ifMatch: before?.etag ?? '' }))) done++
    }
    await close()
  })
  await Promise.all(counting)
  const last = await openFolder(root, 'command', options)
  expect(String((await last.store.read('count', io))?.bytes)).toBe('20')
  await last.close()
})

itUnless(
  needsRoot('another user’s folder'),
  'keeps commands of another user out, who would write what the owner cannot read',
  async () => {
    const root = await temporaryFolder()
    const options = { durability: 'relaxed' as const }
    await (await openFolder(root, 'command', options)).close()
    await chown(join(root, 'format.json'), 1000, 1000)
    await expect(openFolder(root, 'command', options)).rejects.toThrow(
      `data folder ${root} belongs to user 1000: run this as that user, not as user 0`,
    )
  },
)
