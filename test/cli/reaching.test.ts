/** How the commands that ask a registry get through to it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { selfSigned } from '../helpers/certificate.ts'
import { type Ended, slipway } from '../helpers/program.ts'
import { scriptedServer } from '../helpers/scripted-server.ts'

const done = (stdout: string): Ended => ({ status: 0, stdout, stderr: '' })
const failed = (line: string): Ended => ({ status: 1, stdout: '', stderr: `slipway: ${line}\n` })

it('logs in with what docker login has stored', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-docker-'))
  const auth = Buffer.from('bob:s3cret').toString('base64')
  await using closed = await scriptedServer(({ headers }) =>
    headers.authorization === `Basic ${auth}`
      ? { body: '{"tags":["1"]}' }
      : { status: 401, headers: { 'WWW-Authenticate': 'Basic realm="x"' } },
  )
  const config = JSON.stringify({ auths: { [closed.host]: { auth } } })
  mkdirSync(join(folder, 'home/.docker'), { recursive: true })
  for (const path of ['config.json', 'home/.docker/config.json']) writeFileSync(join(folder, path), config)
  const args = ['tags', `${closed.host}/app`]

  expect(await slipway(args, { env: { DOCKER_CONFIG: folder } })).toEqual(done('1\n'))
  expect(await slipway(args, { env: { HOME: join(folder, 'home') } })).toEqual(done('1\n'))
  expect(await slipway(args, { env: { HOME: folder } })).toEqual(
    failed(`${closed.host} demands a password: log in with docker login ${closed.host}`),
  )
  rmSync(folder, { recursive: true })
})

it('asks this machine by TLS where it is told to, and says when it should be', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-tls-'))
  const tls = selfSigned()
  await using secure = await scriptedServer(() => ({ body: '{"tags":["1"]}' }), tls)
  await using proxy = await scriptedServer(() => ({
    status: 400,
    body: 'Client sent an HTTP request to an HTTPS server.\n',
  }))
  writeFileSync(join(folder, 'cert.pem'), tls.cert)
  const env = { NODE_EXTRA_CA_CERTS: join(folder, 'cert.pem') }

  expect(await slipway(['tags', '--tls', `${secure.host}/app`], { env })).toEqual(done('1\n'))
  const { status, stderr } = await slipway(['tags', `${secure.host}/app`])
  expect({ status, stderr }).toMatchObject({ status: 1, stderr: expect.stringContaining('use --tls') })
  expect(await slipway(['tags', `${proxy.host}/app`])).toEqual(
    failed(`tags of ${proxy.host}/app: 400: it speaks TLS: use --tls`),
  )
  rmSync(folder, { recursive: true })
})
