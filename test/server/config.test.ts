import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { settingList, workerCount } from '../../server/config.ts'

import { faults, load, usualSettings } from '../helpers/settings.ts'

const tcp = (host: string, port: number) => ({ kind: 'tcp', host, port })
const fiveThousand = tcp('127.0.0.1', 5000)
const addresses = 'host:port, [::1]:port or unix:/path, or a list of them'
const top =
  'listen, url, tls, insecure, trusted_proxies, data, storage, workers, durability, sparse, login, groups, access, protect, ' +
  'workloads, tokens, limits, log'

it('needs no configuration', () => {
  const { cwd, where, ...loaded } = load()
  expect(loaded).toEqual({
    settings: {
      ...usualSettings,
      listen: [fiveThousand],
      data: join(cwd, 'data'),
    },
    sources: new Map(),
    file: undefined,
    warnings: [],
  })
  expect(where(['listen'])).toBeUndefined()
})

describe('accepts', () => {
  it.for<[yaml: string, settings: object]>([
    ['', {}],
    ['# nothing', {}],
    ['limits:\nlog:', {}],
    ['listen: 127.0.0.2:0', { listen: [tcp('127.0.0.2', 0)] }],
    ['listen: localhost:65535', { listen: [tcp('localhost', 65_535)] }],
    ['listen: "[::1]:5000"', { listen: [tcp('::1', 5000)] }],
    ['listen: "[::ffff:127.0.0.1]:5000"', { listen: [tcp('::ffff:127.0.0.1', 5000)] }],
    ['listen: unix:/run/slipway.sock', { listen: [{ kind: 'unix', path: '/run/slipway.sock' }] }],
    ['listen: [127.0.0.1:5000, "[::1]:5000"]', { listen: [fiveThousand, tcp('::1', 5000)] }],
    ['listen: 127.0.0.1:5000, localhost:1', { listen: [fiveThousand, tcp('localhost', 1)] }],
    ['listen: [127.0.0.1:0, 127.0.0.1:0]', { listen: [tcp('127.0.0.1', 0), tcp('127.0.0.1', 0)] }],
    ['url: https://reg.acme.dev', { url: 'https://reg.acme.dev' }],
    ['url: http://reg.acme.dev:8080/', { url: 'http://reg.acme.dev:8080' }],
    ['data: /srv/slipway', { data: '/srv/slipway' }],
    ['workers: 1', { workers: 1 }],
    ['workers: "64"', { workers: 64 }],
    ['durability: relaxed', { durability: 'relaxed' }],
    ['sparse: none', { sparse: 'none' }],
    ['limits: { manifest: 64MiB }', { limits: { manifestBytes: 67_108_864 } }],
    ['limits: { manifest: 4096KiB }', { limits: { manifestBytes: 4_194_304 } }],
    ['limits: { manifest: 5000000 }', { limits: { manifestBytes: 5_000_000 } }],
    ['limits: { uploads_per_user: 1 }', { limits: { uploadsPerUser: 1 } }],
    ['limits: { upload_ttl: 90s }', { limits: { uploadTtlMs: 90_000 } }],
    ['limits: { upload_ttl: 30m }', { limits: { uploadTtlMs: 1_800_000 } }],
    ['limits: { upload_ttl: 7d }', { limits: { uploadTtlMs: 604_800_000 } }],
    ['limits: { requests_per_minute: 600 }', { limits: { requestsPerMinute: 600 } }],
    ['limits: { requests_per_minute: off }', { limits: { requestsPerMinute: undefined } }],
    ['tls: { cert: /a.pem, key: /b.pem }', { tls: { cert: '/a.pem', key: '/b.pem' } }],
    ['tls:\n  # cert:', { tls: {} }],
    ['insecure: true', { insecure: true }],
    ['insecure: "true"', { insecure: true }],
    ['trusted_proxies: []', { trustedProxies: [] }],
    ['trusted_proxies: unix', { trustedProxies: ['unix'] }],
    ['trusted_proxies: 127.0.0.1, ::1', { trustedProxies: ['127.0.0.1', '::1'] }],
    [
      'trusted_proxies: [10.0.0.0/8, unix, "fd00::/8"]',
      { trustedProxies: ['10.0.0.0/8', 'unix', 'fd00::/8'] },
    ],
    ['listen: 0.0.0.0:5000', { listen: [tcp('0.0.0.0', 5000)] }],
    ['log: { level: trace }', { log: { level: 'trace' } }],
  ])('%j', ([yaml, settings]) => {
    expect(load({ yaml }).settings).toMatchObject(settings)
  })
})

describe('refuses', () => {
  const sizes = 'expected a size from 4MiB to 64MiB'
  const times = 'expected a time from 1s to 365d'
  const proxies = 'a list of networks such as 10.0.0.0/8, addresses, or unix'
  const origin = 'expected http:// or https:// and a host, without a path'
  it.for<readonly [yaml: string, ...faults: string[]]>([
    ['listen: "5000"', `1: listen: expected ${addresses}, found "5000"`],
    ['listen: 5000', `1: listen: expected ${addresses}, found "5000"`],
    ['listen: 127.0.0.1', `1: listen: expected ${addresses}, found "127.0.0.1"`],
    ['listen: 127.0.0.1:65536', `1: listen: expected ${addresses}, found "127.0.0.1:65536"`],
    ['listen: ::1:5000', `1: listen: expected ${addresses}, found "::1:5000"`],
    ['listen: "[127.0.0.1]:5000"', `1: listen: expected ${addresses}, found "[127.0.0.1]:5000"`],
    ['listen: unix:slipway.sock', `1: listen: expected ${addresses}, found "unix:slipway.sock"`],
    ['listen: http://localhost:5000', `1: listen: expected ${addresses}, found "http://localhost:5000"`],
    ['listen: []', `1: listen: expected ${addresses}, found a list`],
    ['listen: { port: 5000 }', `1: listen: expected ${addresses}, found a section`],
    ['listen:\n- 127.0.0.1:1\n- x', `3: listen: expected ${addresses}, found "x"`],
    ['listen: [127.0.0.1:1, 127.0.0.1:1]', '1: listen: 127.0.0.1:1 is there twice; once is accepted'],
    ['url: reg.acme.dev', `1: url: ${origin}, found "reg.acme.dev"`],
    ['url: ftp://reg.acme.dev', `1: url: ${origin}, found "ftp://reg.acme.dev"`],
    ['url: https://reg.acme.dev/v2', `1: url: ${origin}, found "https://reg.acme.dev/v2"`],
    ['url: https://me@reg.acme.dev', `1: url: ${origin}, found "https://me@reg.acme.dev"`],
    ['url: https://reg.acme.dev/?', `1: url: ${origin}, found "https://reg.acme.dev/?"`],
    ['data: ""', '1: data: expected the path of a folder, found ""'],
    ['data:', '1: data: expected the path of a folder, found nothing'],
    ['workers: 0', '1: workers: expected auto or a number from 1 to 64, found 0'],
    ['workers: 65', '1: workers: expected auto or a number from 1 to 64, found 65'],
    ['workers: 1.5', '1: workers: expected auto or a number from 1 to 64, found 1.5'],
    ['workers: true', '1: workers: expected auto or a number from 1 to 64, found true'],
    ['durability: FULL', '1: durability: expected full or relaxed, found "FULL"'],
    ['sparse: [index]', '1: sparse: expected none, index or any, found a list'],
    ['log:\n  level: loud', '2: log.level: expected trace, debug, info, warn or error, found "loud"'],
    ['limits: { manifest: 4194303 }', `1: limits.manifest: ${sizes}, found 4194303`],
    ['limits: { manifest: 65MiB }', `1: limits.manifest: ${sizes}, found "65MiB"`],
    ['limits: { manifest: 8MB }', `1: limits.manifest: ${sizes}, found "8MB"`],
    ['limits: { manifest: 4.5MiB }', `1: limits.manifest: ${sizes}, found "4.5MiB"`],
    ['limits: { manifest: -8MiB }', `1: limits.manifest: ${sizes}, found "-8MiB"`],
    ['limits: { manifest: 9e15GiB }', `1: limits.manifest: ${sizes}, found "9e15GiB"`],
    [
      'limits: { uploads_per_user: 0 }',
      '1: limits.uploads_per_user: expected a number from 1 to 100000, found 0',
    ],
    ['limits: { upload_ttl: 24 }', `1: limits.upload_ttl: ${times}, found 24`],
    ['limits: { upload_ttl: 0s }', `1: limits.upload_ttl: ${times}, found "0s"`],
    ['limits: { upload_ttl: 1constructor }', `1: limits.upload_ttl: ${times}, found "1constructor"`],
    [
      'limits: 3',
      '1: limits: expected settings (manifest, uploads_per_user, upload_ttl, requests_per_minute), found 3',
    ],
    ['lisen: 127.0.0.1:5000', '1: lisen: no such setting; did you mean listen?'],
    ['tlss: {}', '1: tlss: no such setting; did you mean tls?'],
    ['tls: { cert: /a.pem }', '1: tls.cert: its key is missing: set tls.key too'],
    ['tls: { key: /a.pem }', '1: tls.key: its certificate is missing: set tls.cert too'],
    ['tls: { cert: "", key: /b }', '1: tls.cert: expected the path of a PEM file, found ""'],
    ...['10.0.0.0/33', '10.0.0/8', '10.0.0.0/', '10.0.0.0/8/8', 'fe80::%1', 'localhost', 'unix:/a', ''].map(
      text =>
        [`trusted_proxies: "${text}"`, `1: trusted_proxies: expected ${proxies}, found "${text}"`] as const,
    ),
    ...['0.0.0.0/0', '::/0'].map(
      text =>
        [
          `trusted_proxies: ["${text}"]`,
          `1: trusted_proxies: ${text} is everybody, who could then give any address as their own: name the proxies`,
        ] as const,
    ),
    ['insecure: 1', '1: insecure: expected true or false, found 1'],
    [
      'insecure: true\ntls: { cert: /a.pem, key: /b.pem }',
      '1: insecure: tls is set too, and all is encrypted: remove one of them',
    ],
    [
      'limits: { requests_per_minute: 59 }',
      '1: limits.requests_per_minute: expected off or a number from 60 to 10000000, found 59',
    ],
    ['log: { format: x }', '1: log.format: no such setting; known: log.level'],
    ['__proto__: 1', `1: __proto__: no such setting; known: ${top}`],
    ['limits: { manifests: 1 }', '1: limits.manifests: no such setting; did you mean limits.manifest?'],
    ['data: a\ndata: b', '2: data: stands here for the second time; once is accepted'],
    [
      'data: a\nlimits: {',
      '2: broken YAML: Flow map in block collection must be sufficiently indented and end with a }',
    ],
    ['data: a\n\turl: b', '2: broken YAML: Tabs are not allowed as indentation'],
    ['data: !folder a', '1: broken YAML: Unresolved tag: !folder'],
    [
      'workers: 65\nlimits:\n  upload_ttl: 24\n  x: 1\n',
      '1: workers: expected auto or a number from 1 to 64, found 65',
      `3: limits.upload_ttl: ${times}, found 24`,
      '4: limits.x: no such setting; known: limits.manifest, limits.uploads_per_user, limits.upload_ttl, limits.requests_per_minute',
    ],
  ])('%j', ([yaml, ...expected]) => {
    expect(faults({ yaml })).toEqual(expected.map(fault => `slipway.yaml:${fault}`))
  })

  it.for<[yaml: string, fault: string]>([
    ['- listen', `slipway.yaml: expected settings (${top}), found a list`],
    ['just words', `slipway.yaml: expected settings (${top}), found "just words"`],
    [
      'data: *folder',
      'slipway.yaml: broken YAML: Unresolved alias (the anchor must be set before the alias): folder',
    ],
  ])('as a whole %j', ([yaml, fault]) => {
    expect(faults({ yaml })).toEqual([fault])
  })

  it('aliases that multiply without end', () => {
    const levels = ['a', 'b', 'c', 'd', 'e', 'f'].map((name, index, all) => {
      const below = index === 0 ? 'x' : `*${all[index - 1]}`
      return `${name}: &${name} [${Array(9).fill(below).join(', ')}]`
    })
    expect(faults({ yaml: levels.join('\n') })).toEqual([
      expect.stringContaining('slipway.yaml: broken YAML: '),
    ])
  })
})

it('gives every setting a variable of its own', () => {
  const variables = settingList.map(({ env }) => env)
  expect(new Set(variables).size).toBe(variables.length)
  expect(variables).toContain('SLIPWAY_LIMITS_UPLOADS_PER_USER')
})

it('counts a worker for each core, at most 64', () => {
  expect(workerCount(load().settings)).toBeGreaterThanOrEqual(1)
  expect(workerCount(load({ env: { SLIPWAY_WORKERS: '5' } }).settings)).toBe(5)
})
