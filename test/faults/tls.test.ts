import { once } from 'node:events'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kill } from 'node:process'
import { connect } from 'node:tls'
import { afterAll, describe, expect, it } from 'vitest'
import { selfSigned, type TestCertificate } from '../helpers/certificate.ts'
import { converse } from '../helpers/converse.ts'
import { primaryOf } from '../helpers/processes.ts'
import { raw } from '../helpers/requests.ts'
import { startServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

const first = selfSigned()
const second = selfSigned()
const third = selfSigned()
const folder = await mkdtemp(join(tmpdir(), 'slipway-tls-'))
afterAll(() => rm(folder, { recursive: true }))
const at = (name: string) => join(folder, name)

/** As programs that renew certificates do it: whole files, one after the other. */
async function install({ cert, key }: TestCertificate, name = 'a'): Promise<void> {
  for (const [path, text] of [[at(`${name}.crt`), cert] as const, [at(`${name}.key`), key] as const]) {
    await writeFile(`${path}.new`, text)
    await rename(`${path}.new`, path)
  }
}

/** Whether a connection is served with this certificate. Each may be taken by another worker. */
async function serves({ address }: TestServer, { cert }: TestCertificate): Promise<boolean> {
  const { port } = new URL(address)
  const socket = connect({ host: '127.0.0.1', port: Number(port), ca: cert })
  try {
    await once(socket, 'secureConnect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

const count = ({ log }: TestServer, message: string) => log.filter(line => line.msg === message).length
const faultsIn = ({ log }: TestServer, message: string) => log.findLast(line => line.msg === message)?.faults

describe('a server with TLS', () => {
  it('takes a new certificate as its files change, and keeps the old one where they are broken', async () => {
    await install(first)
    await install(third, 'b')
    const config = at('slipway.yaml')
    await writeFile(config, 'workers: 2\ntls: { cert: a.crt, key: a.key }\n')
    await using server = await startServer({ args: ['--config', config] })
    expect(server.address).toMatch(/^https:/)
    expect(await serves(server, first)).toBe(true)

    await writeFile(at('a.key'), second.key)
    await until('the broken pair is refused', () => count(server, 'files refused') > 0)
    expect(faultsIn(server, 'files refused')).toEqual([
      `${config}:2: tls.key: ${at('a.key')}: is not the key of tls.cert`,
    ])
    expect(await serves(server, first)).toBe(true)

    await install(second)
    await until('the new pair is served', () => serves(server, second))
    await until('no worker serves the old one', async () => {
      const old = await Promise.all(Array.from({ length: 8 }, () => serves(server, first)))
      return !old.includes(true)
    })
    await until('the log says so', () => count(server, 'files') === 1)

    await writeFile(config, 'workers: 2\ntls: { cert: a.crt, key: b.key }\n')
    kill(primaryOf(server), 'SIGHUP')
    await until('the settings are refused', () => count(server, 'settings refused') > 0)
    expect(await serves(server, second)).toBe(true)

    await writeFile(config, 'workers: 2\ntls: { cert: b.crt, key: b.key }\n')
    kill(primaryOf(server), 'SIGHUP')
    await until('the other pair is served', () => serves(server, third))

    // Ending TLS takes a restart.
    await writeFile(config, 'workers: 2\n')
    kill(primaryOf(server), 'SIGHUP')
    await until('the settings are taken', () => count(server, 'settings') > 1)
    expect(server.log.findLast(line => line.msg === 'settings')?.needRestart).toEqual(['tls.cert', 'tls.key'])
    expect(await serves(server, third)).toBe(true)
    expect(JSON.stringify(server.log)).not.toContain('PRIVATE KEY')
  })

  it('speaks plainly on a unix socket', async () => {
    await install(first)
    const args = ['--listen', `unix:${at('socket')}`, '--config', at('unix.yaml')]
    await writeFile(at('unix.yaml'), 'workers: 1\ntls: { cert: a.crt, key: a.key }\n')
    await using server = await startServer({ args })
    expect(server.log.find(line => line.msg === 'listening')?.addresses).toEqual([
      server.address,
      `unix:${at('socket')}`,
    ])
    const answers = await converse({ path: at('socket') }, raw({ target: '/v2/' }))
    expect(answers).toMatchObject([{ status: 200 }])
  })
})

it('keeps rules that would leave other machines without any', async () => {
  const config = at('rules.yaml')
  await writeFile(config, 'workers: 1\ninsecure: true\naccess: [pull ** anyone]\n')
  await using server = await startServer({ args: ['--config', config, '--listen', '0.0.0.0:0'] })
  const push = () => fetch(new URL('/v2/a/blobs/uploads/', server.address), { method: 'POST' })
  expect((await push()).status).toBeGreaterThanOrEqual(401)

  await writeFile(config, 'workers: 1\ninsecure: true\n')
  kill(primaryOf(server), 'SIGHUP')
  await until('the settings are refused', () => count(server, 'settings refused') > 0)
  expect(faultsIn(server, 'settings refused')).toEqual([
    expect.stringMatching(/^--listen: 0\.0\.0\.0:0 is open to other machines, and everyone there/),
  ])
  expect((await push()).status).toBeGreaterThanOrEqual(401)
})

it('says at its start what is most likely not meant', async () => {
  const config = at('doubt.yaml')
  await writeFile(config, 'workers: 1\naccess: [push ** @teem]\n')
  await using server = await startServer({ args: ['--config', config] })
  expect(server.log.find(line => line.msg === 'settings doubtful')?.warnings).toEqual([
    `${config}:2: access: push ** @teem: no group is called teem: nobody gets anything by @teem`,
  ])
})
