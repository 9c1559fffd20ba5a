/** What is in the way of a start: `serve` refuses, `check` says so before, and nothing is lost. */
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { isRoot } from '../helpers/obstacles.ts'
import { crash } from '../helpers/processes.ts'
import { type Ended, slipway } from '../helpers/program.ts'
import { startServer } from '../helpers/server.ts'

let cwd = ''
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'slipway-start-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

const refused = (line: string): Ended => ({ status: 1, stdout: '', stderr: `slipway: ${line}\n` })

async function listening(where: net.ListenOptions): Promise<net.Server> {
  const server = net.createServer(socket => socket.destroy())
  onTestFinished(() => void server.close())
  await once(server.listen(where), 'listening')
  return server
}

/** Both commands, with what they said. */
async function attempt(args: readonly string[], line: string): Promise<void> {
  expect(await slipway(['serve', ...args], { cwd })).toEqual(refused(line))
  const { status, stdout } = await slipway(['check', ...args], { cwd })
  expect(stdout).toContain(`\n${line}\n1 fault: serve would refuse to start\n`)
  expect(status).toBe(3)
  expect(existsSync(join(cwd, 'data'))).toBe(false)
}

describe('a unix socket is refused', () => {
  const at = (...path: string[]) => join(cwd, ...path)

  it('where an ordinary file is, which stays', async () => {
    writeFileSync(at('notes'), 'precious')
    await attempt(
      ['--listen', `unix:${at('notes')}`],
      `unix:${at('notes')} holds a file that is no socket: move it away, or choose another with --listen`,
    )
    expect(readFileSync(at('notes'), 'utf8')).toBe('precious')
  })

  it('where a folder is', async () => {
    mkdirSync(at('run'))
    await attempt(
      ['--listen', `unix:${at('run')}`],
      `unix:${at('run')} is a folder: name a file in it with --listen`,
    )
  })

  it('where its folder is missing', async () => {
    await attempt(
      ['--listen', `unix:${at('run/x.sock')}`],
      `unix:${at('run/x.sock')} has no folder ${at('run')}: make it, or choose another with --listen`,
    )
  })

  it('where another server listens, whose socket stays', async () => {
    const server = await listening({ path: at('x.sock') })
    await attempt(
      ['--listen', `unix:${at('x.sock')}`],
      `unix:${at('x.sock')} is in use: stop that server, or choose another with --listen`,
    )
    expect(server.listening && statSync(at('x.sock')).isSocket()).toBe(true)
  })
})

it('listens on the unix socket that a killed server left behind', async () => {
  const args = ['--listen', `unix:${join(cwd, 'x.sock')}`]
  await using killed = await startServer({ args })
  await crash(killed)
  expect(statSync(join(cwd, 'x.sock')).isSocket()).toBe(true)
  expect(await slipway(['check', ...args], { cwd })).toMatchObject({ status: 0 })

  await using server = await startServer({ args })
  expect(server.log.find(line => line.msg === 'listening')?.addresses).toContain(args[1])
})

it('refuses a port that is taken', async () => {
  // A TCP server's address is never a string.
  const { port } = (await listening({ host: '127.0.0.1', port: 0 })).address() as AddressInfo
  await attempt(
    ['--listen', `127.0.0.1:${port}`],
    `127.0.0.1:${port} is in use: stop that server, or choose another with --listen`,
  )
})

it('names the path of a data folder that cannot be', async () => {
  writeFileSync(join(cwd, 'file'), '')
  const path = join(cwd, 'file/data')
  const line = `data folder ${path} cannot be read (ENOTDIR): name another with --data`
  expect(await slipway(['serve', '--data', path, '--listen', '127.0.0.1:0'], { cwd })).toEqual(refused(line))
  expect(await slipway(['check', '--data', path, '--listen', '127.0.0.1:0'], { cwd })).toMatchObject({
    status: 3,
  })
})

it('says which data folder cannot be made', async () => {
  const line =
    'data folder /proc/slipway cannot be opened (ENOENT): give it to this user, or name another with --data'
  const ended = await slipway(['serve', '--data', '/proc/slipway', '--listen', '127.0.0.1:0'], { cwd })
  // Only root is thought to be able to write there.
  expect(ended).toEqual(refused(isRoot() ? line : line.replace('opened (ENOENT)', 'made')))
})

it('checks settings beside the server that has the folder, and its addresses', async () => {
  await using server = await startServer()
  const args = ['--data', server.data ?? '', '--listen', server.host]
  const { status, stdout } = await slipway(['check', ...args], { cwd })
  expect(stdout).toContain(`ok: process ${server.pid} serves this folder; another serve would be refused`)
  expect(status).toBe(0)
  expect(await slipway(['serve', ...args], { cwd })).toEqual(
    refused(
      `data folder ${server.data} is in use by process ${server.pid}: stop that server, or name another folder with --data`,
    ),
  )
})
