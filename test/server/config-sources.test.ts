import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { faults, type Given, load } from '../helpers/settings.ts'

const addresses = 'host:port, [::1]:port or unix:/path, or a list of them'
const tcp = (host: string, port: number) => ({ kind: 'tcp', host, port })

describe('sources', () => {
  it('prefer a flag to the environment, and that to the file', () => {
    const yaml = 'log: { level: warn }\nworkers: 2\nsparse: any'
    const env = { SLIPWAY_LOG_LEVEL: 'error', SLIPWAY_WORKERS: '3', HOME: '/root' }
    const loaded = load({ yaml, env, flags: { 'log-level': 'debug' } })
    expect(loaded.settings).toMatchObject({ log: { level: 'debug' }, workers: 3, sparse: 'any' })
    expect(Object.fromEntries(loaded.sources)).toEqual({
      'log.level': '--log-level',
      workers: 'SLIPWAY_WORKERS',
      sparse: 'slipway.yaml:3',
    })
    expect(loaded.file).toBe('slipway.yaml')
  })

  it('are each checked, also where another one overrides them', () => {
    const given = {
      yaml: 'workers: x',
      env: { SLIPWAY_WORKERS: 'y', SLIPWAY_LIMITS_MANIFESTS: '1' },
      flags: { listen: 'z' },
    }
    expect(faults(given)).toEqual([
      `--listen: expected ${addresses}, found "z"`,
      'SLIPWAY_LIMITS_MANIFESTS: no such setting; did you mean SLIPWAY_LIMITS_MANIFEST?',
      'SLIPWAY_WORKERS: workers: expected auto or a number from 1 to 64, found "y"',
      'slipway.yaml:1: workers: expected auto or a number from 1 to 64, found "x"',
    ])
  })

  it('include a flag that is given twice', () => {
    const { settings } = load({ flags: { listen: ['127.0.0.1:5000', '[::1]:5000'] } })
    expect(settings.listen).toEqual([tcp('127.0.0.1', 5000), tcp('::1', 5000)])
  })

  it('include a file by flag, else by environment', () => {
    const files = { 'a.yaml': 'workers: 1', 'b.yaml': 'workers: 2', 'slipway.yaml': 'workers: 3' }
    const env = { SLIPWAY_CONFIG: 'b.yaml' }
    expect(load({ files, env }).settings.workers).toBe(2)
    expect(load({ files, env, flags: { config: './a.yaml' } }).settings.workers).toBe(1)
  })

  it.for<[given: Given, fault: string]>([
    [{ flags: { config: 'no.yaml' } }, 'no.yaml: cannot be read: there is no such file'],
    [{ flags: { config: '.' } }, '.: cannot be read: it is a folder'],
    [{ flags: { config: '' } }, '--config: expected the path of a YAML file, found ""'],
    [{ env: { SLIPWAY_CONFIG: '' } }, 'SLIPWAY_CONFIG: expected the path of a YAML file, found ""'],
    [
      { env: { SLIPWAY_URL: '' } },
      'SLIPWAY_URL: url: expected http:// or https:// and a host, without a path, found ""',
    ],
  ])('must be readable: %j', ([given, fault]) => {
    expect(faults(given)).toEqual([fault])
  })

  it.for(['SLIPWAY_PORT', 'SLIPWAY_LIMIT', 'SLIPWAY_', 'SLIPWAY_LIMITS'])('have no variable %s', name => {
    expect(faults({ env: { [name]: '5000' } })).toEqual([
      expect.stringContaining(`${name}: no such setting; `),
    ])
  })

  it('leave the variables alone that Kubernetes sets for a service of this name', () => {
    const address = 'tcp://10.0.0.1:5000'
    const env = {
      SLIPWAY_SERVICE_HOST: '10.0.0.1',
      SLIPWAY_SERVICE_PORT: '5000',
      SLIPWAY_SERVICE_PORT_HTTP: '5000',
      SLIPWAY_PORT: address,
      SLIPWAY_PORT_5000_TCP: address,
      SLIPWAY_PORT_5000_TCP_ADDR: '10.0.0.1',
    }
    expect(faults({ env })).toEqual([])
  })
})

describe('a relative folder', () => {
  it.for<[what: string, given: Given, folder: string]>([
    ['in the file starts at the folder of the file', { yaml: 'data: x' }, 'etc/x'],
    ['by default starts there too', { yaml: '' }, 'etc/data'],
    ['in a flag starts at the working directory', { yaml: 'data: x', flags: { data: 'y' } }, 'y'],
    ['in the environment starts at the working directory', { yaml: '', env: { SLIPWAY_DATA: './z' } }, 'z'],
  ])('%s', ([, { yaml = '', flags, env }, folder]) => {
    const files = { 'etc/slipway.yaml': yaml }
    const { settings, cwd } = load({
      files,
      env: { ...env },
      flags: { ...flags, config: 'etc/slipway.yaml' },
    })
    expect(settings.data).toBe(join(cwd, folder))
  })
})
