import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kill } from 'node:process'
import { expect, it } from 'vitest'
import { multiArch } from '../helpers/images.ts'
import { primaryOf } from '../helpers/processes.ts'
import { startServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'
import { append, startUpload } from '../helpers/upload.ts'

/** Whether an index is accepted though its images are not here. */
async function takesSparse({ address }: TestServer): Promise<boolean> {
  const { descriptor, bytes } = multiArch({ seed: 'reload', layers: [300] })
  const url = new URL('/v2/faults/reload/manifests/tag', address)
  const headers = { 'Content-Type': descriptor.mediaType }
  const { status } = await fetch(url, { method: 'PUT', headers, body: new Uint8Array(bytes) })
  if (status !== 201 && status !== 400) throw new Error(`it answered ${status}`)
  return status === 201
}

const count = ({ log }: TestServer, message: string) => log.filter(line => line.msg === message).length

async function tell(server: TestServer, reply: string): Promise<void> {
  const before = count(server, reply)
  kill(primaryOf(server), 'SIGHUP')
  await until(`it says "${reply}"`, () => count(server, reply) > before)
}

it('takes changed settings on SIGHUP, and keeps the old ones where the file is broken', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-reload-'))
  const config = join(folder, 'slipway.yaml')
  try {
    await writeFile(config, 'workers: 1\nsparse: none\n')
    await using server = await startServer({ args: ['--config', config] })
    expect(await takesSparse(server)).toBe(false)

    await writeFile(
      config,
      'workers: 2\nurl: http://reg.example\nsparse: index\nlimits:\n  uploads_per_user: 1\n',
    )
    await tell(server, 'settings')
    expect(server.log.find(line => line.msg === 'settings')).toMatchObject({
      taken: ['sparse', 'limits.uploads_per_user'],
      needRestart: ['url', 'workers'],
    })
    await until('images of an index may be missing', () => takesSparse(server))
    const repository = { address: server.address, name: 'faults/reload' }
    const begin = async () => append(await startUpload(repository), Buffer.from('two'))
    await begin()
    await expect(begin()).rejects.toThrow('answered 429')

    await writeFile(config, 'workers: 1\nsparse: [none\n')
    await tell(server, 'settings refused')
    expect(server.log.find(line => line.msg === 'settings refused')?.faults).toEqual([
      expect.stringContaining('slipway.yaml'),
    ])
    expect(await takesSparse(server)).toBe(true)
    await expect(begin()).rejects.toThrow('answered 429')

    await writeFile(config, 'workers: 1\nsparse: none\nlog:\n  level: error\n')
    kill(primaryOf(server), 'SIGHUP')
    await until('images of an index must be there', async () => !(await takesSparse(server)))
    const id = 'not-to-be-logged'
    await fetch(new URL('/v2/', server.address), { headers: { 'X-Request-Id': id } })
    // What it has to say, it says before it ends.
    expect(await server.stop()).toBe(0)
    expect(server.log.filter(line => line.id === id)).toEqual([])
  } finally {
    await rm(folder, { recursive: true })
  }
})

it('takes proxies on SIGHUP, and warns as long as there are none where it takes one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-reload-'))
  const config = join(folder, 'slipway.yaml')
  const settings = 'workers: 1\nurl: https://reg.example\n'
  try {
    await writeFile(config, settings)
    await using server = await startServer({ args: ['--config', config] })
    const from = async (id: string) => {
      const headers = { 'X-Request-Id': id, 'X-Forwarded-For': '192.0.2.1' }
      await fetch(new URL('/v2/', server.address), { headers })
      await until('it is logged', () => server.log.some(line => line.id === id))
      return server.log.find(line => line.id === id)?.from
    }
    await until('it warns', () => count(server, 'settings doubtful') > 0)
    expect(server.log.find(line => line.msg === 'settings doubtful')?.warnings).toEqual([
      expect.stringMatching(/slipway\.yaml:2: url: .* set trusted_proxies/),
    ])
    expect(await from('before')).toBe('127.0.0.1')
    await writeFile(config, `${settings}trusted_proxies: 127.0.0.1\n`)
    await tell(server, 'settings')
    let asked = 0
    await until('it is believed', async () => (await from(`after-${asked++}`)) === '192.0.2.1')
    expect(count(server, 'settings doubtful')).toBe(1)
  } finally {
    await rm(folder, { recursive: true })
  }
})
