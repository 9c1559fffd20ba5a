import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { administered } from '../helpers/administered.ts'
import { bucketVariables } from '../helpers/buckets.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { slipway } from '../helpers/program.ts'
import { describeEngines } from '../helpers/s3-engine.ts'
import { accessDenied } from '../helpers/s3-faults.ts'
import { startS3Proxy } from '../helpers/s3-proxy.ts'
import type { S3Place } from '../helpers/s3-requests.ts'

/** What is said of each thing that was looked at. */
const states = (stdout: string): Record<string, string | undefined> =>
  Object.fromEntries(
    stdout.split('\n').flatMap(line => {
      const [, state, what] = /^(ok|limited|missing) +(\S+(?: \S+)*)/.exec(line) ?? []
      return what === undefined ? [] : [[what, state]]
    }),
  )

describe('over a folder', () => {
  it('tries the file system, and leaves nothing', async () => {
    const folder = await temporaryFolder()
    const { status, stdout } = await slipway(['doctor', '--data', `${folder}/new`])
    expect([status, states(stdout)]).toEqual([
      0,
      expect.objectContaining({ node: 'ok', folder: 'ok', 'file system': 'ok' }),
    ])
    expect(readdirSync(folder)).toEqual([])
  })

  it('says what is missing', async () => {
    const { status, stdout } = await slipway(['doctor', '--data', '/proc/registry'])
    expect([status, states(stdout)['file system']]).toEqual([3, 'missing'])
  })
})

describe('over faulty settings', () => {
  const secret = 'SLIPWAY_STORAGE_S3_SECRET_ACCESS_KEY_FILE: storage.s3.secret_access_key_file: '
  const env = {
    SLIPWAY_STORAGE_S3_BUCKET: 's3://images',
    // Whoever asks it would find that it is not there.
    SLIPWAY_STORAGE_S3_ENDPOINT: 'http://127.0.0.1:1',
    SLIPWAY_STORAGE_S3_ACCESS_KEY_ID: 'key',
    SLIPWAY_STORAGE_S3_SECRET_ACCESS_KEY_FILE: '/no/such/secret',
    SLIPWAY_LISTEN: '0.0.0.0:0',
    SLIPWAY_INSECURE: 'true',
  }
  const fault = `${secret}/no/such/secret: cannot be read: there is no such file`

  it('says what is wrong with them, as check does, and asks nobody with other credentials', async () => {
    const cwd = await temporaryFolder()
    const [doctor, check, serve] = await Promise.all(
      ['doctor', 'check', 'serve'].map(command => slipway([command], { cwd, env })),
    )
    expect([doctor?.status, states(doctor?.stdout ?? '')]).toEqual([
      3,
      expect.objectContaining({ node: 'ok', settings: 'missing' }),
    ])
    expect(doctor?.stdout.split('\n').filter(line => line.startsWith('missing'))).toEqual([
      `missing  settings  ${fault}`,
    ])
    expect(check).toEqual({
      status: 3,
      stdout: `${fault}\n1 fault: serve would refuse to start\n`,
      stderr: '',
    })
    expect(serve).toEqual({ status: 1, stdout: '', stderr: `slipway: ${fault}\n` })
  })

  it('says which of them is not accepted', async () => {
    const cwd = await temporaryFolder()
    const { status, stdout } = await slipway(['doctor'], { cwd, env: { SLIPWAY_WORKERS: '65' } })
    expect([status, stdout]).toEqual([
      3,
      expect.stringMatching(/^missing +settings +SLIPWAY_WORKERS: workers:/),
    ])
  })
})

describeEngines(it => {
  const doctor = (place: S3Place, bucket: string) =>
    slipway(['doctor', '--storage', `s3://${bucket}/p`, '--json'], {
      env: {
        SLIPWAY_STORAGE_S3_ENDPOINT: place.endpoint.href,
        SLIPWAY_STORAGE_S3_REGION: place.region,
        SLIPWAY_STORAGE_S3_ACCESS_KEY_ID: place.accessKeyId,
        SLIPWAY_STORAGE_S3_SECRET_ACCESS_KEY: place.secretAccessKey,
      },
    })
  const found = (stdout: string, what: string) =>
    JSON.parse(stdout).findings.find((each: { what: string }) => each.what === what)

  it('says what a bucket keeps', async ({ engine, bucket }) => {
    const { status, stdout } = await doctor(engine, bucket)
    const isWhole = engine.name === 'versitygw'
    expect(status).toBe(0)
    expect(found(stdout, 'bucket')).toEqual({
      what: 'bucket',
      state: isWhole ? 'ok' : 'limited',
      found: `s3://${bucket}/p: tier ${isWhole ? 'A' : 'B'}`,
    })
    expect(found(stdout, 'remove if match').state).toBe(isWhole ? 'ok' : 'limited')
    expect(found(stdout, 'address for clients').state).toBe('ok')
    expect(found(stdout, 'requests signed 20 minutes ago').state).toBe('ok')
  })

  it('says so when clients cannot be sent to it, and so does a start', async ({ engine, bucket }) => {
    await using proxy = await startS3Proxy(engine)
    proxy.inject(accessDenied, {
      when: ({ query }) => query.has('X-Amz-Signature'),
      times: Number.POSITIVE_INFINITY,
    })
    const what = 'answers 403 to who asks for all: set storage.s3.redirect to false'
    const { status, stdout } = await doctor(proxy, bucket)
    expect([status, found(stdout, 'address for clients')]).toEqual([
      0,
      { what: 'address for clients', state: 'limited', found: what },
    ])
    const { run } = administered(undefined, bucketVariables(proxy, bucket))
    const [serve, check, without] = await Promise.all([
      run('serve --listen 127.0.0.1:0'),
      run('check --listen 127.0.0.1:0'),
      administered(undefined, {
        ...bucketVariables(proxy, bucket),
        SLIPWAY_STORAGE_S3_REDIRECT: 'false',
      }).run('check --listen 127.0.0.1:0'),
    ])
    const line = `storage.s3.redirect: clients cannot be sent to s3://${bucket}, which ${what}`
    expect(serve).toEqual({ status: 1, stdout: '', stderr: `slipway: ${line}\n` })
    expect([check.status, check.stdout]).toEqual([3, expect.stringContaining(`\n${line}\n`)])
    expect(without.status).toBe(0)
  }, 60_000)

  it('says so when a bucket keeps no conditions, or is not there', async ({ engine, bucket }) => {
    await using lax = await startS3Proxy(engine, { ignoresConditions: () => true })
    const { stdout } = await doctor(lax, bucket)
    expect(found(stdout, 'bucket')).toMatchObject({
      state: 'limited',
      found: expect.stringContaining('tier C'),
    })
    const absent = await doctor(engine, 'no-such-bucket')
    expect([absent.status, found(absent.stdout, 'bucket').state]).toEqual([3, 'missing'])
  })
})
