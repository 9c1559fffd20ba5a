import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { placeOf } from '../../server/storage-place.ts'
import { faults, load } from '../helpers/settings.ts'

const s3 = (settings: string) => `storage: { s3: { ${settings} } }`
const placed = (yaml: string, s3Secret?: string) => placeOf(load({ yaml }).settings, { s3Secret })

describe('a bucket', () => {
  it.for<[given: string, name: string, prefix: string]>([
    ['registry', 'registry', ''],
    ['s3://registry', 'registry', ''],
    ['s3://registry/', 'registry', ''],
    ['s3://registry/team', 'registry', 'team'],
    ['registry/team/a_b.c-D/', 'registry', 'team/a_b.c-D'],
    ['s3://my.own-registry.3/a..b', 'my.own-registry.3', 'a..b'],
    [`s3://${'a'.repeat(63)}`, 'a'.repeat(63), ''],
    [`s3://registry/${'a/'.repeat(100)}`, 'registry', `${'a/'.repeat(99)}a`],
  ])('may be written as %s', ([given, bucket, prefix]) => {
    const place = { kind: 'bucket', settings: { bucket, prefix } }
    expect(placed(s3(`bucket: "${given}"`))).toMatchObject(place)
    expect(placeOf(load({ flags: { storage: given } }).settings, {})).toMatchObject(place)
  })

  it.for([
    '',
    'ab',
    'Registry',
    'a_registry',
    '-registry',
    'registry-',
    'a'.repeat(64),
    's3://',
    's3:///team',
    's3:registry',
    'S3://registry',
    'https://registry.example',
    's3://registry/a//b',
    's3://registry//a',
    's3://registry/../a',
    's3://registry/a/..',
    's3://registry/./a',
    's3://registry/a b',
    's3://registry/a?b',
    's3://registry/%61',
    's3://registry/ä',
    's3://key@registry',
    `s3://registry/${'a'.repeat(201)}`,
  ])('is not %j', given => {
    const accepts =
      'expected s3://bucket or s3://bucket/prefix; of the bucket 3 to 63 characters: a-z, 0-9, . and -, the first and last ' +
      'a letter or digit; of the prefix at most 200: A-Z, a-z, 0-9, . _ - and / between folders, none of them . or ..'
    const shown = given.length > 79 ? `"${given.slice(0, 79)}…` : `"${given}"`
    expect(faults({ yaml: s3(`bucket: "${given}"`) })).toEqual([
      `slipway.yaml:1: storage.s3.bucket: ${accepts}, found ${shown}`,
    ])
    expect(faults({ flags: { storage: given } })).toEqual([`--storage: ${accepts}, found ${shown}`])
  })

  it('is a setting inside storage, and storage is none', () => {
    expect(faults({ yaml: 'storage: s3://images' })).toEqual([
      'slipway.yaml:1: storage: expected settings (s3), found "s3://images"; did you mean storage.s3.bucket?',
    ])
    expect(faults({ env: { SLIPWAY_STORAGE: 's3://images' } })).toEqual([
      'SLIPWAY_STORAGE: no such setting; did you mean SLIPWAY_STORAGE_S3_BUCKET?',
    ])
  })

  it('stands for the folder, wherever it is named, and is at AWS unless something else is said', () => {
    const usual = { prefix: '', endpoint: undefined, region: 'us-east-1', pathStyle: false }
    const place = { kind: 'bucket', settings: { ...usual, bucket: 'registry', credentials: undefined } }
    expect(placed(`data: /srv/slipway\n${s3('bucket: registry')}`)).toEqual(place)
    const { settings } = load({ env: { SLIPWAY_STORAGE_S3_BUCKET: 'registry' } })
    expect(placeOf(settings, {})).toEqual(place)
    expect(placed('data: /srv/slipway')).toEqual({
      kind: 'folder',
      path: '/srv/slipway',
      durability: 'full',
    })
  })
})

describe('the flag of the folder', () => {
  const folder = { kind: 'folder', path: '/srv/slipway', durability: 'full' }
  const yaml = s3(
    'bucket: registry, endpoint: "https://s3.acme.dev", access_key_id: key, secret_access_key_file: none',
  )

  it('is stronger than a bucket of the file or the environment', () => {
    const flags = { data: '/srv/slipway' }
    for (const given of [{ yaml }, { env: { SLIPWAY_STORAGE_S3_BUCKET: 'registry' } }]) {
      expect(placeOf(load({ ...given, flags }).settings, {})).toEqual(folder)
      expect(placeOf(load({ ...given }).settings, {})).toMatchObject({ kind: 'bucket' })
    }
    // Not so a folder from elsewhere, which is but a default that somebody wrote down.
    expect(placeOf(load({ yaml, env: { SLIPWAY_DATA: '/srv/slipway' } }).settings, {})).toMatchObject({
      kind: 'bucket',
    })
  })

  it('is refused beside that of a bucket', () => {
    expect(faults({ flags: { data: '/srv/slipway', storage: 's3://registry' } })).toEqual([
      '--data: --storage is given too, and one place holds everything: leave one of them away',
    ])
  })
})

describe('an endpoint', () => {
  it.for<[given: string, endpoint: string]>([
    ['http://127.0.0.1:9000', 'http://127.0.0.1:9000'],
    ['https://s3.acme.dev/', 'https://s3.acme.dev'],
    ['https://[::1]:9000', 'https://[::1]:9000'],
  ])('may be %s, with the bucket in the path', ([given, endpoint]) => {
    const settings = { endpoint, pathStyle: true }
    expect(placed(s3(`bucket: registry, endpoint: "${given}"`))).toMatchObject({ settings })
  })

  it('has the bucket in its host if that is wanted', () => {
    const yaml = s3('bucket: registry, endpoint: "https://s3.acme.dev", path_style: false, region: eu')
    expect(placed(yaml)).toMatchObject({ settings: { pathStyle: false, region: 'eu' } })
  })

  it.for([
    's3.acme.dev',
    's3://acme',
    'ftp://acme.dev',
    'https://',
    'https://a@acme.dev',
    'https://acme.dev?a',
    'https://a#b',
  ])('is not %j', given => {
    expect(faults({ yaml: s3(`bucket: registry, endpoint: "${given}"`) })).toEqual([
      `slipway.yaml:1: storage.s3.endpoint: expected http:// or https:// and a host, without a path, found "${given}"`,
    ])
  })

  it.for(['https://acme.dev/s3', 'https://acme.dev/bucket/'])('has no path, as %s does', given => {
    expect(faults({ yaml: s3(`bucket: registry, endpoint: "${given}"`) })).toEqual([
      'slipway.yaml:1: storage.s3.endpoint: has no path: write https://acme.dev, and in storage.s3.bucket s3://bucket/prefix',
    ])
  })
})

describe('credentials', () => {
  it('are a key and its secret, which a file may have', () => {
    const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' }
    const inline = s3('bucket: registry, access_key_id: key, secret_access_key: secret')
    expect(placed(inline)).toMatchObject({ settings: { credentials } })
    const named = s3('bucket: registry, access_key_id: key, secret_access_key_file: run/secret')
    expect(placed(named, 'secret')).toMatchObject({ settings: { credentials } })
    const { settings, cwd } = load({ yaml: named })
    expect(settings.storage.s3.secretAccessKeyFile).toBe(join(cwd, 'run/secret'))
  })

  it.for<[settings: string, ...faults: string[]]>([
    [
      'bucket: registry, access_key_id: key',
      'access_key_id: its secret is missing: set secret_access_key_file too',
    ],
    [
      'bucket: registry, secret_access_key: SECRET',
      'secret_access_key: its key is missing: set access_key_id too',
    ],
    [
      'bucket: registry, secret_access_key_file: secret',
      'secret_access_key_file: its key is missing: set access_key_id too',
    ],
    [
      'bucket: registry, access_key_id: key, secret_access_key: SECRET, secret_access_key_file: secret',
      'secret_access_key: secret_access_key_file is set too: remove one of them',
    ],
    [
      'endpoint: "https://s3.acme.dev", access_key_id: key, secret_access_key: SECRET',
      'endpoint: its bucket is missing: set storage.s3.bucket too',
      'access_key_id: its bucket is missing: set storage.s3.bucket too',
    ],
  ])('belong together: %s', ([settings, ...expected]) => {
    expect(faults({ yaml: s3(settings) })).toEqual(
      expected.map(fault => `slipway.yaml:1: storage.s3.${fault}`),
    )
  })

  it.for<[settings: string, name: string]>([
    ['access_key_id: ""', 'access_key_id'],
    ['access_key_id: key, secret_access_key: ""', 'secret_access_key'],
    ['access_key_id: key, secret_access_key_file: ""', 'secret_access_key_file'],
    ['region: ""', 'region'],
  ])('are not empty: %s', ([settings, name]) => {
    expect(faults({ yaml: s3(`bucket: registry, ${settings}`) })).toEqual([
      expect.stringMatching(`slipway.yaml:1: storage.s3.${name}: expected .*, found ""`),
    ])
  })

  it.for<[what: string, secret: string]>([
    ['a list', '[SECRET]'],
    ['a section', '{ SECRET: SECRET }'],
    ['a number', '18446744073709'],
  ])('are not shown where they are %s', ([what, secret]) => {
    const given = { yaml: s3(`bucket: registry, access_key_id: key, secret_access_key: ${secret}`) }
    const accepts = 'expected a secret access key, in quotes if it has digits only'
    expect(faults(given)).toEqual([`slipway.yaml:1: storage.s3.secret_access_key: ${accepts}, found ${what}`])
  })

  it('are not shown where they stand in an address', () => {
    const [fault] = faults({ yaml: s3('bucket: registry, endpoint: "https://key:SECRET@acme.dev"') })
    expect(fault).toMatch(/found "https:\/\/key:…@acme\.dev"$/)
  })

  it('are text, whatever they look like in the environment', () => {
    const env = {
      SLIPWAY_STORAGE_S3_BUCKET: 'registry',
      SLIPWAY_STORAGE_S3_ACCESS_KEY_ID: '0123',
      SLIPWAY_STORAGE_S3_SECRET_ACCESS_KEY: '[1e400]',
    }
    expect(placeOf(load({ env }).settings, {})).toMatchObject({
      settings: { credentials: { accessKeyId: '0123', secretAccessKey: '[1e400]' } },
    })
  })
})
