import { expect, it } from 'vitest'
import { isSameHost, parseServedNetwork, type Redirect, redirection } from '../../server/redirection.ts'

it.for([
  ['10.0.0.0/8', '10.0.0.0/8'],
  ['192.0.2.7', '192.0.2.7/32'],
  ['0.0.0.0/0', '0.0.0.0/0'],
  ['fd00::/8', 'fd00::/8'],
  ['::1', '::1/128'],
  ['10.0.0.0/33', undefined],
  ['fd00::/129', undefined],
  ['10.0.0.0/', undefined],
  ['10.0.0.0/8/8', undefined],
  ['10.0.0.0/-1', undefined],
  ['10.0.0.0/255.0.0.0', undefined],
  ['10.0.0/8', undefined],
  ['fe80::1%eth0', undefined],
  ['office', undefined],
] as const)('reads %j as the network %j', ([text, network]) => {
  expect(parseServedNetwork(text)).toBe(network)
})

const office = ['10.1.0.0/16', 'fd00:1::/32', '192.0.2.7/32']

it.for([
  ['10.1.0.0', false],
  ['10.1.255.255', false],
  ['10.2.0.0', true],
  // How a socket for both families shows an IPv4 peer.
  ['::ffff:10.1.2.3', false],
  ['::ffff:10.2.2.3', true],
  ['192.0.2.7', false],
  ['192.0.2.8', true],
  ['fd00:1::5', false],
  ['fd00:2::5', true],
  ['fe80::1%eth0', true],
  [undefined, true],
] as const)('sends %s to the store: %s', ([address, sent]) => {
  expect(redirection(() => office)(address)).toBe(sent)
  expect(redirection(() => true)(address)).toBe(true)
  expect(redirection(() => false)(address)).toBe(false)
})

it('goes by the setting as it is now', () => {
  let setting: Redirect = office
  const redirects = redirection(() => setting)
  expect(redirects('10.1.2.3')).toBe(false)
  setting = ['10.2.0.0/16']
  expect([redirects('10.1.2.3'), redirects('10.2.2.3')]).toEqual([true, false])
  setting = []
  expect(redirects('10.2.2.3')).toBe(true)
})

it.for([
  ['acme.dev', 'https://acme.dev:9000/x', true],
  ['ACME.dev:5000', 'https://acme.dev/x', true],
  ['acme.dev', 'https://s3.acme.dev/x', true],
  ['reg.acme.dev', 'https://s3.acme.dev/x', false],
  ['me.dev', 'https://acme.dev/x', false],
  ['[::1]:5000', 'http://[::1]:9000/x', true],
  [undefined, 'https://acme.dev/x', false],
  ['', 'https://acme.dev/x', false],
] as const)('sees whether %s shares its host with %s: %s', ([host, location, same]) => {
  expect(isSameHost(host, location)).toBe(same)
})
