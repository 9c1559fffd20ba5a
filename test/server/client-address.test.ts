/** Which address a request comes from when proxies stand before the registry. */
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { clientAddresses, clientBehind, parseTrustedProxy } from '../../server/client-address.ts'
import { networkList } from '../../server/client-networks.ts'

const proxies = ['10.0.0.0/8', 'fd00::/8', '127.0.0.1']

describe('the client', () => {
  it.for<[says: string, forwardedFor: string, client: string | undefined]>([
    ['whom the proxy names', '192.0.2.1', '192.0.2.1'],
    ['none of those that a client has put before itself', '127.0.0.1, 198.51.100.7, 192.0.2.1', '192.0.2.1'],
    ['behind two proxies', '192.0.2.1, 10.1.2.3', '192.0.2.1'],
    ['behind three, whatever it claims', '203.0.113.9, 192.0.2.1, 10.9.9.9,10.1.2.3', '192.0.2.1'],
    ['in the network of the proxies', '10.1.1.1, 10.1.2.3', '10.1.1.1'],
    ['the proxy, where nobody is named', '', '10.0.0.1'],
    ['of IPv6', '2001:db8::1', '2001:db8::1'],
    ['of IPv6 behind IPv6', '2001:DB8::1, fd00::5', '2001:DB8::1'],
    ['of IPv6 in brackets', '[2001:db8::1]', '2001:db8::1'],
    ['of IPv6 with a port', '[2001:db8::1]:443', '2001:db8::1'],
    ['of IPv4 with a port', '192.0.2.1:65535', '192.0.2.1'],
    ['of IPv4 in the words of IPv6', '::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['behind a proxy in the words of IPv6', '192.0.2.1, ::ffff:10.1.2.3', '192.0.2.1'],
    ['behind one in other words', '192.0.2.1, [::ffff:a01:203]:80', '192.0.2.1'],
    ['with spaces', ' \t192.0.2.1\t ', '192.0.2.1'],
    ['not before garbage', '192.0.2.1, garbage, 10.1.2.3', '10.1.2.3'],
    ['not before nothing', '192.0.2.1, , 10.1.2.3', '10.1.2.3'],
    ['not before unknown', '192.0.2.1, unknown', '10.0.0.1'],
  ])('is %s: %j', ([, forwardedFor, client]) => {
    expect(clientBehind('10.0.0.1', forwardedFor, networkList(proxies))).toBe(client)
  })

  it.for([
    '1.2.3',
    '01.2.3.4',
    '256.1.1.1',
    '1.2.3.4/8',
    '1.2.3.4:x',
    '1.2.3.4:123456',
    '[1.2.3.4]',
    '[::1',
    '::1]',
    '[::1]x',
    '[]',
    'fe80::1%eth0',
    ':1',
    '_hidden',
    'unix:',
    'for=1.2.3.4',
    '"1.2.3.4"',
    '1.2.3.4;5.6.7.8',
    '::1:'.repeat(10_000),
    '%00',
  ])('is never %s', entry => {
    expect(clientBehind('10.0.0.1', entry, networkList(proxies))).toBe('10.0.0.1')
    expect(clientBehind(undefined, entry, networkList(proxies))).toBe(undefined)
  })

  it('is found at the end of ten thousand', () => {
    const many = (address: string) => Array(10_000).fill(address).join()
    expect(clientBehind('10.0.0.1', `${many('203.0.113.9')},192.0.2.1`, networkList(proxies))).toBe(
      '192.0.2.1',
    )
    let asked = 0
    const everybody = () => ++asked > 0
    expect(clientBehind('10.0.0.1', many('10.1.1.1'), everybody)).toBe('10.1.1.1')
    expect(asked).toBeLessThan(100)
  })
})

it.for<[network: string, inside: readonly string[], outside: readonly string[]]>([
  ['10.0.0.0/8', ['10.0.0.0', '10.255.255.255', '::ffff:10.1.1.1'], ['11.0.0.0', '9.255.255.255', '::a00:1']],
  ['10.0.0.7/8', ['10.0.0.1'], ['11.0.0.7']],
  ['192.0.2.1', ['192.0.2.1', '::ffff:c000:201'], ['192.0.2.0', '192.0.2.2']],
  ['fd00::/8', ['fd00::1', 'fdff::1%eth0'], ['fe00::1', '253.0.0.1']],
  ['::1', ['::1', '0:0:0:0:0:0:0:1'], ['::2', '127.0.0.1']],
  ['::ffff:10.0.0.0/104', ['10.1.1.1', '::ffff:10.1.1.1'], ['11.1.1.1']],
])('knows who is in %s', ([network, inside, outside]) => {
  expect(parseTrustedProxy(network)).toBe(network)
  const isInside = networkList([network])
  expect(inside.filter(address => !isInside(address))).toEqual([])
  expect(outside.filter(isInside)).toEqual([])
})

it('takes no connection that has lost its address for one to a unix socket', () => {
  const clients = clientAddresses(() => ['unix'])
  const asked = () => {
    const req = new IncomingMessage(new Socket())
    req.headers['x-forwarded-for'] = '192.0.2.1'
    return req
  }
  expect(clients.of(asked())).toBeUndefined()
  const req = asked()
  clients.cameByUnixSocket(req.socket)
  expect(clients.of(req)).toBe('192.0.2.1')
})
