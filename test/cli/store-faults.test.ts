/** What commands say of a store that does not answer as one should. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { selfSigned } from '../helpers/certificate.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { slipway } from '../helpers/program.ts'
import { type Reply, scriptedServer } from '../helpers/scripted-server.ts'

const variables = (endpoint: string) => ({
  SLIPWAY_STORAGE_S3_BUCKET: 's3://images',
  SLIPWAY_STORAGE_S3_ENDPOINT: endpoint,
  SLIPWAY_STORAGE_S3_REGION: 'here-1',
  SLIPWAY_STORAGE_S3_ACCESS_KEY_ID: 'key',
  SLIPWAY_STORAGE_S3_SECRET_ACCESS_KEY: 'of-nobody',
})

async function said(endpoint: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
  const { status, stderr } = await slipway(['user', 'list'], {
    cwd: await temporaryFolder(),
    env: { ...variables(endpoint), ...env },
  })
  expect(status).toBe(1)
  return stderr.replace('slipway: bucket s3://images ', '').trimEnd()
}

const refused = (code: string, message: string, more = ''): Reply => ({
  status: 400,
  headers: { 'Content-Type': 'application/xml' },
  body: `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message>${more}</Error>`,
})

describe('TLS', () => {
  it('wants to know the signer, who can be named', async () => {
    const tls = selfSigned()
    await using store = await scriptedServer(() => refused('InvalidAccessKeyId', 'no such key'), tls)
    const { origin } = new URL(store.url)
    expect(await said(origin)).toBe(
      `cannot be reached, as ${origin} has a certificate that nobody whom this machine knows has signed ` +
        "(DEPTH_ZERO_SELF_SIGNED_CERT): name the file of the signer's certificate in the environment, as " +
        'NODE_EXTRA_CA_CERTS, and start again',
    )
    const file = join(await temporaryFolder(), 'ca.pem')
    writeFileSync(file, tls.cert)
    expect(await said(origin, { NODE_EXTRA_CA_CERTS: file })).toBe(
      'does not know the access key: see storage.s3.access_key_id',
    )
    const other = origin.replace(/\/\/[^:]+/, '//0.0.0.0')
    expect(await said(other, { NODE_EXTRA_CA_CERTS: file })).toMatch(
      /has a certificate for another host \(ERR_TLS_CERT_ALTNAME_INVALID\): call the store in storage\.s3\.endpoint as/,
    )
  }, 30_000)

  it('is not spoken by everybody', async () => {
    const goes = 'Client sent an HTTP request to an HTTPS server.\n'
    await using store = await scriptedServer(() => ({ status: 400, body: goes }))
    const { origin } = new URL(store.url)
    expect(await said(origin)).toBe(
      `cannot be reached, as ${origin} does not answer as an S3 store does: see storage.s3.endpoint, which may have ` +
        'to begin with https://',
    )
    const secure = origin.replace('http:', 'https:')
    expect(await said(secure)).toBe(
      `cannot be reached, as ${secure} does not speak TLS (EPROTO): write http:// in storage.s3.endpoint, or name its ` +
        'port for TLS',
    )
  }, 30_000)
})

it.for<[what: string, reply: Reply, line: string]>([
  [
    'a region that is named',
    refused('AuthorizationHeaderMalformed', 'the region is wrong', '<Region>there-2</Region>'),
    'is in the region there-2, not in here-1: see storage.s3.region',
  ],
  [
    'a region that is named in words',
    refused('AuthorizationHeaderMalformed', "the region 'here-1' is wrong; expecting 'there-2'"),
    'is in the region there-2, not in here-1: see storage.s3.region',
  ],
  [
    'a region that is not named',
    refused('AuthorizationHeaderMalformed', 'the region is wrong'),
    'is not in the region here-1: see storage.s3.region',
  ],
  [
    'a key that none can be',
    refused(
      'AuthorizationHeaderMalformed',
      'the Credential is mal-formed; expecting "&lt;YOUR-AKID&gt;/YYYYMMDD/REGION/SERVICE/aws4_request"',
    ),
    'takes the access key for a malformed one: see storage.s3.access_key_id',
  ],
])('tells apart what stores refuse: %s', async ([, reply, line]) => {
  await using store = await scriptedServer(() => reply)
  expect(await said(new URL(store.url).origin)).toBe(line)
})

it('ends where a store takes connections and does not answer, and says for what it waits', async () => {
  await using silent = createServer(() => {}).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const sockets = new Set<{ destroy(): void }>()
  silent.on('connection', socket => sockets.add(socket))
  const store = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
  const line = `bucket s3://images cannot be reached, as ${store} takes connections and does not answer: see what keeps it busy, or start it again`
  const cwd = await temporaryFolder()
  const waiting = `waiting for the store at ${store}\n`
  const run = (...words: readonly string[]) => slipway(words, { cwd, env: variables(store) })
  const [add, check, serve, doctor] = await Promise.all([
    run('user', 'add', 'root', '--admin'),
    run('check', '--listen', '127.0.0.1:0'),
    run('serve', '--listen', '127.0.0.1:0'),
    run('doctor'),
  ])
  for (const socket of sockets) socket.destroy()
  for (const each of [add, serve])
    expect(each).toEqual({ status: 1, stdout: '', stderr: `${waiting}slipway: ${line}\n` })
  expect(check).toMatchObject({ status: 3, stderr: waiting, stdout: expect.stringContaining(`\n${line}\n`) })
  expect(doctor).toMatchObject({ status: 3, stderr: waiting, stdout: expect.stringContaining(line) })
}, 60_000)
