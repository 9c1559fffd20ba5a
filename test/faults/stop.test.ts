import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kill } from 'node:process'
import { createInterface } from 'node:readline'
import { expect, it } from 'vitest'
import { accepts } from '../helpers/accepts.ts'
import { content, fetched } from '../helpers/blob.ts'
import { itUnless, needsPrograms } from '../helpers/obstacles.ts'
import { isAlive, primaryOf, workersOf } from '../helpers/processes.ts'
import { program } from '../helpers/program.ts'
import { leashed } from '../helpers/programs.ts'
import { startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'
import { append, finishUrl, slowRequest, startUpload, uploadStatus } from '../helpers/upload.ts'

const MiB = 1024 * 1024

it('finishes the uploads under way when it is told to stop, and takes no others', async () => {
  await using server = await startServer()
  const repository = { address: server.address, name: 'stop/drain' }
  const blob = content('drain', 2 * MiB)
  const patched = await startUpload(repository)
  const half = await append(await startUpload(repository), blob.bytes.subarray(0, MiB))

  await using patch = await slowRequest('PATCH', patched.url, 2 * MiB)
  await using put = await slowRequest('PUT', finishUrl(half.url, blob.digest), MiB)
  await patch.send(blob.bytes.subarray(0, MiB))
  await put.send(blob.bytes.subarray(MiB, MiB + 300_000))
  await until('both are being stored', async () => {
    const sizes = await Promise.all([patched, half].map(async each => (await uploadStatus(each)).size))
    return sizes.every((size, at) => size > (at === 0 ? 0 : MiB))
  })
  const stopped = server.stop()
  await until('new connections are refused', async () => !(await accepts(server.address)))

  await patch.send(blob.bytes.subarray(MiB))
  await put.send(blob.bytes.subarray(MiB + 300_000))
  expect(await patch.answer).toMatch(/^HTTP\/1\.1 202 .*\r\nRange: 0-2097151\r\n/is)
  expect(await put.answer).toMatch(/^HTTP\/1\.1 201 /)
  expect(await stopped).toBe(0)

  await using again = await startServer({ data: server.data ?? '' })
  expect(await fetched({ ...repository, address: again.address }, blob)).toBe(blob.digest)
})

it('stops with status 0 while its workers are still starting', async () => {
  await using server = await startServer({ env: { SLIPWAY_WORKERS: '4' } })
  const startedMs = Date.now()
  expect(await server.stop()).toBe(0)
  expect(Date.now() - startedMs).toBeLessThan(5_000)
})

it('leaves no worker behind when its parent is killed', async () => {
  await using server = await startServer()
  const workers = workersOf(server)
  kill(primaryOf(server), 'SIGKILL')
  await until('they are gone', () => !workers.some(isAlive))
})

it('says last that it has stopped, and how many requests were cut off', async () => {
  await using server = await startServer({ env: { SLIPWAY_WORKERS: '2' } })
  expect(await server.stop()).toBe(0)
  expect(server.log.filter(({ msg }) => msg === 'stopped')).toHaveLength(1)
  expect(server.log.at(-1)).toMatchObject({ msg: 'stopped', pid: server.pid, unfinished: 0 })
})

itUnless(
  needsPrograms(['script']),
  'tells a terminal what it waits for, and stops at once when asked again',
  async () => {
    const data = await mkdtemp(join(tmpdir(), 'slipway-terminal-'))
    const command = `exec ${process.execPath} ${program} serve --listen 127.0.0.1:0 --data ${data}`
    const [first, ...rest] = leashed(['script', '--quiet', '--command', command, '/dev/null'])
    const terminal = spawn(first, rest, { stdio: ['pipe', 'pipe', 'ignore'] })
    const lines: string[] = []
    createInterface({ input: terminal.stdout }).on('line', line => lines.push(line.trim()))
    const ended = once(terminal, 'exit')
    try {
      await until('it listens', () => lines.some(line => line.startsWith('try ')))
      const address = lines.find(line => line.startsWith('serving'))?.split(/ +/)[1] ?? ''
      const upload = await startUpload({ address, name: 'stop/terminal' })
      await using patch = await slowRequest('PATCH', upload.url, MiB)
      await patch.send(Buffer.alloc(1))
      await until('it is received', () => existsSync(join(data, 'u')))
      terminal.stdin.write('\x03')
      await until('it waits', () =>
        lines.some(line => line.endsWith('waiting up to 25 s for 1 request; again to stop at once')),
      )
      await until('it has ended', () => {
        if (terminal.exitCode === null) terminal.stdin.write('\x03')
        return terminal.exitCode !== null
      })
      expect(await ended).toEqual([0, null])
    } finally {
      terminal.kill('SIGKILL')
      await rm(data, { recursive: true, force: true })
    }
  },
)
