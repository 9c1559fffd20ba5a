import { describe, expect, it } from 'vitest'
import { reloadable, reloaded, settingChanges, settingList } from '../../server/config.ts'
import { load } from '../helpers/settings.ts'

describe('settings that changed', () => {
  const changed: Readonly<Record<string, string>> = {
    listen: '127.0.0.1:5001',
    url: 'https://reg.acme.dev',
    insecure: 'true',
    trusted_proxies: '127.0.0.1',
    'login.htpasswd': '/srv/htpasswd',
    groups: '{"a": ["b"]}',
    access: 'pull ** anyone',
    protect: 'frozen a',
    workloads: '{"a": {"issuer": "https://b", "audience": "c", "match": {"d": "e"}}}',
    'tokens.max_ttl': '300d',
    'tokens.default_ttl': '7d',
    'limits.requests_per_minute': '60',
    data: '/srv/slipway',
    'storage.s3.bucket': 'here/elsewhere',
    'storage.s3.endpoint': 'https://s3.acme.dev',
    'storage.s3.region': 'eu-west-1',
    'storage.s3.path_style': 'false',
    'storage.s3.redirect': 'false',
    'storage.s3.access_key_id': 'another',
    'storage.s3.secret_access_key': 'another',
    'storage.s3.secret_access_key_file': '/srv/another',
    workers: '7',
    durability: 'relaxed',
    sparse: 'any',
    'limits.manifest': '8MiB',
    'limits.uploads_per_user': '7',
    'limits.upload_ttl': '7h',
    'log.level': 'debug',
  }
  /** What a setting needs beside it. */
  const bucket = { SLIPWAY_STORAGE_S3_BUCKET: 'here', SLIPWAY_STORAGE_S3_ENDPOINT: 'http://127.0.0.1:1' }
  const besides = (name: string) => {
    if (!name.startsWith('storage.s3.')) return {}
    const secret = name.endsWith('secret_access_key') ? '' : '_FILE'
    const keys = {
      SLIPWAY_STORAGE_S3_ACCESS_KEY_ID: 'one',
      [`SLIPWAY_STORAGE_S3_SECRET_ACCESS_KEY${secret}`]: '/srv/one',
    }
    return { ...bucket, ...keys }
  }
  const alone = settingList.filter(({ path }) => path[0] !== 'tls')
  it.for(alone.map(({ name, env }) => [name, env] as const))('%s', ([name, env]) => {
    // Each load has a working directory of its own.
    const common = { SLIPWAY_DATA: '/srv/data', ...besides(name) }
    const before = load({ env: common }).settings
    const after = load({ env: { ...common, [env]: changed[name] } }).settings
    expect(settingChanges(before, after)).toEqual(
      reloadable.includes(name) ? { taken: [name], needRestart: [] } : { taken: [], needRestart: [name] },
    )
  })

  it('need no restart for access, what may be missing, limits and the log level', () => {
    const waiting = settingList.filter(({ name }) => !reloadable.includes(name)).map(({ name }) => name)
    const ofStorage = (name: string) => name.startsWith('storage.s3.')
    expect(waiting.filter(name => !ofStorage(name))).toEqual([
      'listen',
      'url',
      'insecure',
      'data',
      'workers',
      'durability',
    ])
    expect(waiting).toEqual(
      expect.arrayContaining(['storage.s3.bucket', 'storage.s3.secret_access_key_file']),
    )
  })

  it('need one where TLS begins or ends, not where its files are others', () => {
    const common = { SLIPWAY_DATA: '/srv/data' }
    const pair = (name: string) => ({
      ...common,
      SLIPWAY_TLS_CERT: `/${name}.crt`,
      SLIPWAY_TLS_KEY: `/${name}.key`,
    })
    const [plain, one, other] = [common, pair('one'), pair('other')].map(env => load({ env }).settings)
    if (!plain || !one || !other) throw new Error('three were loaded')
    expect(settingChanges(one, other)).toEqual({ taken: ['tls.cert', 'tls.key'], needRestart: [] })
    expect(reloaded(one, other)).toEqual(other)
    for (const [before, after] of [[plain, one] as const, [one, plain] as const]) {
      expect(settingChanges(before, after)).toEqual({ taken: [], needRestart: ['tls.cert', 'tls.key'] })
      expect(reloaded(before, after)).toEqual(before)
    }
  })

  it('are taken together, but for those that wait', () => {
    const before = load({ env: { SLIPWAY_DATA: '/a', SLIPWAY_WORKERS: '2' } }).settings
    const env = {
      SLIPWAY_DATA: '/b',
      SLIPWAY_WORKERS: '3',
      SLIPWAY_LISTEN: '127.0.0.1:1',
      SLIPWAY_URL: 'https://b',
      SLIPWAY_INSECURE: 'true',
      SLIPWAY_DURABILITY: 'relaxed',
      SLIPWAY_SPARSE: 'any',
    }
    expect(reloaded(before, load({ env }).settings)).toEqual({ ...before, sparse: 'any' })
  })
})
