import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { settingTexts } from '../../cli/check.ts'
import { settingList } from '../../server/config.ts'
import { slipway } from '../helpers/program.ts'
import { usualSettings } from '../helpers/settings.ts'

let cwd = ''
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'slipway-check-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

const anyPort = ['--listen', '127.0.0.1:0']
const broken = 'workers: 65\nlisten: 0.0.0.0\n'
const brokenFaults = [
  'slipway.yaml:2: listen: expected host:port, [::1]:port or unix:/path, or a list of them, found "0.0.0.0"',
  'slipway.yaml:1: workers: expected auto or a number from 1 to 64, found 65',
]

it('says what serve would do, and where each value comes from', async () => {
  writeFileSync(join(cwd, 'slipway.yaml'), 'sparse: any\nlisten: [127.0.0.1:0, 127.0.0.2:0]\n')
  const options = { cwd, env: { SLIPWAY_LIMITS_MANIFEST: '8MiB', SLIPWAY_WORKERS: '3' } }
  const { status, stdout, stderr } = await slipway(['check', '--log-level', 'warn'], options)
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  const expected = [
    ['settings', 'slipway.yaml'],
    ['who may', 'open: everyone on this machine may pull, push and delete'],
    ['listen', '127.0.0.1:0, 127.0.0.2:0', '(slipway.yaml:2)'],
    ['url', 'not set'],
    ['tls.cert', 'not set'],
    ['tls.key', 'not set'],
    ['insecure', 'false'],
    ['trusted_proxies', 'none'],
    ['data', join(cwd, 'data')],
    ['', expect.stringMatching(/^not there; serve makes it; .*[0-9]\S*iB free$/)],
    ['storage.s3.bucket', 'not set'],
    ['workers', '3', '(SLIPWAY_WORKERS)'],
    ['durability', 'full: what was acknowledged survives a power cut'],
    ['sparse', 'any: whatever a manifest names may be missing', '(slipway.yaml:1)'],
    ['login.htpasswd', 'not set'],
    ['groups', 'none'],
    ['access', 'none'],
    ['protect', 'none'],
    ['workloads', 'none'],
    ['tokens.max_ttl', '365d'],
    ['tokens.default_ttl', '90d'],
    ['limits.manifest', '8MiB', '(SLIPWAY_LIMITS_MANIFEST)'],
    ['limits.uploads_per_user', '100'],
    ['limits.upload_ttl', '24h'],
    ['limits.requests_per_minute', 'off'],
    ['log.level', 'warn', '(--log-level)'],
    [''],
    ['ok: serve would start'],
    [''],
  ]
  expect(stdout.split('\n').map(line => line.split(/ {2,}/))).toEqual(expected)
})

it('says which settings of a bucket --data has replaced', async () => {
  writeFileSync(
    join(cwd, 'slipway.yaml'),
    'storage: { s3: { bucket: s3://images, endpoint: "http://127.0.0.1:1" } }\n',
  )
  const { status, stdout } = await slipway(['check', '--data', 'fold', ...anyPort], { cwd })
  expect(status).toBe(0)
  expect(stdout).toMatch(new RegExp(`^data +${join(cwd, 'fold')} +\\(--data\\)$`, 'm'))
  for (const name of ['bucket', 'endpoint'])
    expect(stdout).toMatch(
      new RegExp(`^storage\\.s3\\.${name} +not used with a folder +\\(slipway\\.yaml:1\\)$`, 'm'),
    )
})

it('changes nothing', async () => {
  expect(await slipway(['check', ...anyPort], { cwd })).toMatchObject({ status: 0 })
  expect(readdirSync(cwd)).toEqual([])
})

it('prints one JSON object when asked', async () => {
  const { status, stdout } = await slipway(['check', '--json', '--data=.', ...anyPort], { cwd })
  expect(status).toBe(0)
  expect(JSON.parse(stdout)).toEqual({
    ok: true,
    faults: [],
    warnings: [],
    file: null,
    settings: {
      ...usualSettings,
      storage: { s3: { ...usualSettings.storage.s3, hasSecretAccessKey: false } },
      listen: [{ kind: 'tcp', host: '127.0.0.1', port: 0 }],
      data: cwd,
    },
    workers: expect.any(Number),
    sources: { data: '--data', listen: '--listen' },
    storage: { kind: 'folder', path: cwd, state: 'empty', writable: true, freeBytes: expect.any(Number) },
    access: 'open: everyone on this machine may pull, push and delete',
  })
})

describe('ends with 3', () => {
  it('and all faults of the settings', async () => {
    writeFileSync(join(cwd, 'slipway.yaml'), broken)
    expect(await slipway(['check'], { cwd })).toEqual({
      status: 3,
      stdout: `${[...brokenFaults, '2 faults: serve would refuse to start'].join('\n')}\n`,
      stderr: '',
    })
  })

  it('and all faults of the settings as JSON', async () => {
    writeFileSync(join(cwd, 'slipway.yaml'), broken)
    const { status, stdout } = await slipway(['check', '--json'], { cwd })
    expect(status).toBe(3)
    expect(JSON.parse(stdout)).toEqual({ ok: false, faults: brokenFaults })
  })

  it('when other machines could do anything, or listen to everything', async () => {
    const { status, stdout } = await slipway(['check', '--listen', '0.0.0.0:0'], { cwd })
    expect(status).toBe(3)
    const prefix = '--listen: 0.0.0.0:0 is open to other machines, and'
    expect(stdout.split('\n').slice(-4, -1)).toEqual([
      expect.stringContaining(
        `${prefix} everyone there could do anything: make a user with slipway user add --admin`,
      ),
      expect.stringContaining(
        `${prefix} passwords and images would pass unencrypted: set tls.cert and tls.key`,
      ),
      '2 faults: serve would refuse to start',
    ])
  })

  it('when a file that the settings name cannot be used', async () => {
    writeFileSync(join(cwd, 'slipway.yaml'), 'login: { htpasswd: users }\ntls: { cert: a, key: a }\n')
    writeFileSync(join(cwd, 'users'), 'bob:SECRET\n')
    writeFileSync(join(cwd, 'a'), 'SECRET')
    const { status, stdout } = await slipway(['check'], { cwd })
    expect(status).toBe(3)
    expect(stdout.split('\n').slice(-5, -1)).toEqual([
      `slipway.yaml:2: tls.cert: ${join(cwd, 'a')}: has no certificate in PEM form`,
      `slipway.yaml:2: tls.key: ${join(cwd, 'a')}: has no key in PEM form without a password`,
      expect.stringMatching(/^slipway\.yaml:1: login\.htpasswd: \S+users: line 1: expected a bcrypt hash/),
      '3 faults: serve would refuse to start',
    ])
    expect(stdout).not.toContain('SECRET')
  })

  it('when the folder holds something else', async () => {
    writeFileSync(join(cwd, 'holiday.jpg'), '')
    const { status, stdout } = await slipway(['check', '--data', '.', ...anyPort], { cwd })
    expect(status).toBe(3)
    expect(stdout.split('\n').slice(-3, -1)).toEqual([
      expect.stringMatching(
        /^data folder \S+ holds other files \(holiday\.jpg\): name an empty folder with --data$/,
      ),
      '1 fault: serve would refuse to start',
    ])
  })
})

it('warns, and ends with 0', async () => {
  writeFileSync(join(cwd, 'slipway.yaml'), 'access:\n- push ** @teem\n')
  const warning =
    'slipway.yaml:2: access: push ** @teem: no group is called teem: nobody gets anything by @teem'
  const { status, stdout } = await slipway(['check', ...anyPort], { cwd })
  expect(status).toBe(0)
  expect(stdout.split('\n').slice(-3)).toEqual([`warning: ${warning}`, 'ok: serve would start', ''])
  const json = await slipway(['check', '--json', ...anyPort], { cwd })
  expect(JSON.parse(json.stdout)).toMatchObject({ ok: true, warnings: [warning] })
})

it('warns of a proxy that is not named, and is content once it is', async () => {
  const settings = 'url: https://reg.acme.dev\n'
  const warningsWith = async (more: string) => {
    writeFileSync(join(cwd, 'slipway.yaml'), settings + more)
    const { stdout } = await slipway(['check', '--json', ...anyPort], { cwd })
    return JSON.parse(stdout).warnings
  }
  expect(await warningsWith('')).toEqual([
    expect.stringMatching(/^slipway\.yaml:1: url: .* set trusted_proxies/),
  ])
  expect(await warningsWith('trusted_proxies: [127.0.0.1]\n')).toEqual([])
})

describe('serve with faults in its settings', () => {
  it('ends with 1 and one line for each', async () => {
    writeFileSync(join(cwd, 'slipway.yaml'), broken)
    const stderr = brokenFaults.map(fault => `slipway: ${fault}\n`).join('')
    expect(await slipway(['serve'], { cwd })).toEqual({ status: 1, stdout: '', stderr })
  })

  it('ends before it has made anything, where it would be open to other machines', async () => {
    const { status, stdout, stderr } = await slipway(['serve', '--listen=:0'], { cwd })
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(
      /^slipway: --listen: :0 is open to other machines, .*slipway user add --admin NAME/,
    )
    expect(readdirSync(cwd)).toEqual([])
  })

  it('says where it failed only at --log-level=debug', async () => {
    const { status, stderr } = await slipway(['serve', '--config=no.yaml', '--log-level=debug'], { cwd })
    expect(status).toBe(1)
    expect(stderr).toMatch(/^slipway: SettingsError: no\.yaml: cannot be read: there is no such file\n +at /)
  })
})

it('shows every setting', () => {
  expect(Object.keys(settingTexts)).toEqual(settingList.map(({ name }) => name))
})
