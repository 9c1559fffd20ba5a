import { expect, it } from 'vitest'
import { addressIn, realmIn, registryUrl } from '../../client/origin.ts'

it.for<[host: string, url: string, plainUrl: string]>([
  ['localhost:5000', 'http://localhost:5000/', 'http://localhost:5000/'],
  ['127.9.9.9', 'http://127.9.9.9/', 'http://127.9.9.9/'],
  ['[::1]:5000', 'http://[::1]:5000/', 'http://[::1]:5000/'],
  ['reg.acme.dev', 'https://reg.acme.dev/', 'http://reg.acme.dev/'],
  ['10.0.0.1:5000', 'https://10.0.0.1:5000/', 'http://10.0.0.1:5000/'],
  ['127.acme.dev', 'https://127.acme.dev/', 'http://127.acme.dev/'],
  ['docker.io', 'https://registry-1.docker.io/', 'http://registry-1.docker.io/'],
])('asks %s by TLS unless it is this machine, or the user says otherwise', ([host, url, plainUrl]) => {
  expect(registryUrl(host, {}).href).toBe(url)
  expect(registryUrl(host, { tls: true }).href).toBe(plainUrl.replace('http:', 'https:'))
  expect(registryUrl(host, { plainHttp: true }).href).toBe(plainUrl)
})

const registry = new URL('https://reg.acme.dev/v2/a/blobs/uploads/')

it.for([
  ['/x?y=1', 'https://reg.acme.dev/x?y=1'],
  ['x', 'https://reg.acme.dev/v2/a/blobs/uploads/x'],
  ['//cdn.acme.dev/x', 'https://cdn.acme.dev/x'],
  ['https://10.1.1.1/x', 'https://10.1.1.1/x'],
])('goes where an answer points to: %s', ([text = '', url]) => {
  expect(addressIn(registry, text).href).toBe(url)
})

it.for([
  'http://reg.acme.dev/x',
  'ftp://reg.acme.dev/x',
  'file:///etc/passwd',
  'https://user:secret@reg.acme.dev/',
  'https://[',
])('goes from https to nothing like %s', text => {
  expect(() => addressIn(registry, text)).toThrow(/^reg\.acme\.dev points .*: refused$/)
})

it.for([
  'https://localhost/t',
  'https://127.0.0.1/t',
  'https://169.254.169.254/t',
  'https://[fd00::1]/t',
  'https://[::ffff:10.0.0.1]/t',
])('sends no credentials into a private network that a registry names: %s', text => {
  expect(() => realmIn(registry, text)).toThrow(/^reg\.acme\.dev wants credentials sent to/)
})

it.for<[registry: string, realm: string]>([
  ['https://registry-1.docker.io', 'https://auth.docker.io/token'],
  ['https://10.0.0.1:5000', 'https://10.0.0.1:5001/token'],
  ['http://127.0.0.1:5000', 'http://10.0.0.1/token'],
])('lets %s name the realm %s', ([from, realm]) => {
  expect(realmIn(new URL(from), realm).href).toBe(realm)
})
