import { describe, expect, it } from 'vitest'
import { isOpen } from '../../server/access-settings.ts'
import { parseListenAddress } from '../../server/addresses.ts'
import { type Listening, listeningFaults, proxyDoubt } from '../../server/listening.ts'
import { accessText } from '../../server/plan.ts'
import { load } from '../helpers/settings.ts'

function said(text: string, { isOpen = false, tls = false, insecure = false }: Partial<Listening> = {}) {
  const address = parseListenAddress(text)
  if (!address) throw new Error(`${text} is no address`)
  return listeningFaults({ addresses: [address], isOpen, tls, insecure })
}

const own = [
  '127.0.0.1:1',
  '127.255.0.9:1',
  '[::1]:1',
  '[0:0:0:0:0:0:0:1]:1',
  'localhost:1',
  'LOCALHOST:1',
  'unix:/s',
]
const exposed = [
  '0.0.0.0:1',
  '[::]:1',
  ':1',
  '10.0.0.1:1',
  '[::ffff:10.0.0.1]:1',
  '128.0.0.1:1',
  '127.1:1',
  'reg.local:1',
]

it.for(own)('lets an open registry listen on %s, which is this machine alone', address => {
  expect(said(address, { isOpen: true })).toEqual([])
})

describe.for(exposed)('%s, which other machines reach,', address => {
  const open =
    `${address} is open to other machines, and everyone there could do anything: make a user with slipway user add ` +
    '--admin NAME, or set login.htpasswd, workloads or access, or listen on 127.0.0.1'
  const plain = expect.stringMatching(
    /passwords and images would pass unencrypted: set tls\.cert and tls\.key; .*proxy with TLS on this machine; .* insecure: true /,
  )

  it('is for a registry that knows who may do what', () => {
    expect(said(address, { isOpen: true, tls: true })).toEqual([open])
    expect(said(address, { isOpen: true, insecure: true })).toEqual([open])
    expect(said(address, { tls: true })).toEqual([])
  })

  it('wants TLS, or a word that it is not needed', () => {
    expect(said(address)).toEqual([plain])
    expect(said(address, { insecure: true })).toEqual([])
    expect(said(address, { isOpen: true })).toEqual([open, plain])
  })
})

it('names each address that is at fault, and no other', () => {
  const addresses = ['127.0.0.1:1', '10.0.0.1:2', '[::]:3'].flatMap(text => parseListenAddress(text) ?? [])
  const faults = listeningFaults({ addresses, isOpen: true, tls: true, insecure: false })
  expect(faults.map(fault => fault.split(' ')[0])).toEqual(['10.0.0.1:2', '[::]:3'])
})

describe('a proxy that nobody has named', () => {
  it.for(['', 'listen: unix:/s', 'listen: 0.0.0.0:1\ninsecure: true'])(
    'is warned of with https and %j',
    yaml => {
      const { settings } = load({ yaml: `url: https://reg.acme.dev\n${yaml}` })
      expect(proxyDoubt(settings)).toMatch(/set trusted_proxies/)
    },
  )

  it.for([
    '',
    'url: http://reg.acme.dev',
    'url: https://reg.acme.dev\ntls: { cert: a, key: b }',
    'url: https://reg.acme.dev\ntrusted_proxies: 127.0.0.1',
  ])('is not looked for with %j', yaml => {
    expect(proxyDoubt(load({ yaml }).settings)).toBeUndefined()
  })
})

describe('a registry is open', () => {
  const workload = 'workloads: { a: { issuer: "https://b", audience: c, match: { d: e } } }'
  it.for<[yaml: string, open: boolean, access: RegExp]>([
    ['', true, /^open: everyone on this machine/],
    ['groups: { a: [b] }\nprotect: [frozen a]', true, /^open: /],
    ['login: { htpasswd: a }', false, /^delete \*\* signed-in: every user/],
    ['access: [pull ** anyone]', false, /^as 1 rule says$/],
    ['access: [pull ** anyone, push ** signed-in]', false, /^as 2 rules say$/],
    [workload, false, /^delete \*\* signed-in/],
  ])('with %j: %s', ([yaml, open, access]) => {
    const { settings } = load({ yaml })
    expect(isOpen(settings, false)).toBe(open)
    expect(accessText(settings, false)).toMatch(access)
    expect(isOpen(settings, true)).toBe(false)
  })
})
