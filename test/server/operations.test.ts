import { expect, it } from 'vitest'
import {
  type Operation,
  parseOperation,
  type RequiredPermissions,
  requiredPermission,
} from '../../server/operations.ts'
import { digest } from '../helpers/images.ts'
import { fault } from '../helpers/waiting.ts'

const blob = digest(Buffer.from('blob'))
const names = [
  'a',
  'team/app',
  'tags/list',
  'a/tags',
  'a/tags/list',
  'a/manifests',
  'manifests/a',
  'a/blobs',
  'blobs/uploads',
  'a/blobs/uploads',
  'uploads',
  'referrers/a',
  'a/referrers',
  'v2',
  'a/v2',
  'a/manifests/latest',
]
const address = 'AZaz09-_'

/** What a client sends for each operation on a repository. */
const requests = (name: string): [method: string, target: string, operation: object][] => [
  ['HEAD', `/v2/${name}/blobs/${blob}`, { kind: 'headBlob', name, digest: blob }],
  ['GET', `/v2/${name}/blobs/${blob.replace(':', '%3A')}`, { kind: 'getBlob', name, digest: blob }],
  ['DELETE', `/v2/${name}/blobs/${blob}`, { kind: 'deleteBlob', name, digest: blob }],
  ['GET', `/v2/${name}/manifests/latest`, { kind: 'getManifest', name, reference: 'latest' }],
  ['HEAD', `/v2/${name}/manifests/${blob}`, { kind: 'headManifest', name, reference: blob }],
  [
    'PUT',
    `/v2/${name}/manifests/${blob}?tag=a&tag=b`,
    { kind: 'putManifest', name, reference: blob, tags: ['a', 'b'] },
  ],
  ['DELETE', `/v2/${name}/manifests/list`, { kind: 'deleteManifest', name, reference: 'list' }],
  ['GET', `/v2/${name}/tags/list?n=5&last=a`, { kind: 'listTags', name, limit: 5, after: 'a' }],
  [
    'GET',
    `/v2/${name}/referrers/${blob}?artifactType=x%2Fy%2Bz`,
    { kind: 'listReferrers', name, digest: blob, artifactType: 'x/y+z', limit: 10_000 },
  ],
  ['POST', `/v2/${name}/blobs/uploads/`, { kind: 'startUpload', name, algorithm: 'sha256' }],
  [
    'POST',
    `/v2/${name}/blobs/uploads?digest-algorithm=sha512`,
    { kind: 'startUpload', name, algorithm: 'sha512' },
  ],
  ['POST', `/v2/${name}/blobs/uploads/?digest=${blob}`, { kind: 'receiveBlob', name, digest: blob }],
  [
    'POST',
    `/v2/${name}/blobs/uploads/?mount=${blob}&from=tags/list`,
    { kind: 'mountBlob', name, digest: blob, from: 'tags/list' },
  ],
  [
    'POST',
    `/v2/${name}/blobs/uploads/?mount=${blob}`,
    { kind: 'mountBlob', name, digest: blob, from: undefined },
  ],
  ['GET', `/v2/${name}/blobs/uploads/${address}`, { kind: 'uploadStatus', name, address }],
  ['PATCH', `/v2/${name}/blobs/uploads/${address}`, { kind: 'appendUpload', name, address }],
  [
    'PUT',
    `/v2/${name}/blobs/uploads/${address}?digest=${blob}`,
    { kind: 'finishUpload', name, address, digest: blob },
  ],
  ['DELETE', `/v2/${name}/blobs/uploads/${address}`, { kind: 'cancelUpload', name, address }],
]

it.for(names)('finds every operation on the repository %s', name => {
  for (const [method, target, operation] of requests(name))
    expect(parseOperation(method, target), `${method} ${target}`).toMatchObject(operation)
})

it.for<[target: string, operation: Partial<Operation>]>([
  ['/v2', { kind: 'ping' }],
  ['/v2/', { kind: 'ping' }],
  ['/v2/_catalog', { kind: 'catalog', limit: 10_000, after: undefined }],
  ['/v2/_catalog?n=0', { kind: 'catalog', limit: 0 }],
  ['/v2/_catalog?n=999999&last=a/b', { kind: 'catalog', limit: 10_000, after: 'a/b' }],
  ['/healthz', { kind: 'alive' }],
  ['/readyz', { kind: 'ready' }],
  ['/v1/_ping', { kind: 'searchPing' }],
  ['/v1/search?q=x&n=500&page=2', { kind: 'search', term: 'x', limit: 100, page: 2 }],
])('finds the operation of %s', ([target, operation]) => {
  for (const method of ['GET', 'HEAD']) expect(parseOperation(method, target)).toMatchObject(operation)
  expect(() => parseOperation('POST', target)).toThrow(expect.objectContaining(fault('METHOD_UNSUPPORTED')))
})

it.for<[method: string, target: string, refusal: Parameters<typeof fault>[0]]>([
  ['GET', '/', 'PATH_UNKNOWN'],
  ['GET', '/v3/', 'PATH_UNKNOWN'],
  ['GET', '/v2/a', 'PATH_UNKNOWN'],
  ['GET', '/v2/a/tags', 'PATH_UNKNOWN'],
  ['GET', '/v2/a/tags/other', 'PATH_UNKNOWN'],
  ['GET', '/v2/a/manifests/', 'PATH_UNKNOWN'],
  ['GET', '/v2//manifests/latest', 'PATH_UNKNOWN'],
  ['GET', '/v2/a/../b/manifests/latest', 'PATH_UNKNOWN'],
  ['GET', '/v2/a/./manifests/latest', 'PATH_UNKNOWN'],
  ['GET', '/v2/a%2Fb/manifests/latest', 'PATH_UNKNOWN'],
  ['GET', '/v2/a/uploads/x', 'PATH_UNKNOWN'],
  ['GET', '/v2/A/manifests/latest', 'NAME_INVALID'],
  ['GET', '/v2/a/manifests/.x', 'TAG_INVALID'],
  ['GET', '/v2/a/manifests/sha256:x', 'DIGEST_INVALID'],
  ['GET', '/v2/a/blobs/latest', 'DIGEST_INVALID'],
  ['PUT', '/v2/a/manifests/b?tag=-', 'TAG_INVALID'],
  ['PUT', `/v2/a/blobs/uploads/${address}`, 'DIGEST_INVALID'],
  ['POST', '/v2/a/blobs/uploads/?digest-algorithm=md5', 'DIGEST_INVALID'],
  ['POST', `/v2/a/blobs/uploads/?mount=${blob}&from=A`, 'NAME_INVALID'],
  ['GET', '/v2/a/tags/list?n=-1', 'PAGE_INVALID'],
  ['GET', '/v2/a/tags/list?n=', 'PAGE_INVALID'],
  ['POST', '/v2/a/manifests/b', 'METHOD_UNSUPPORTED'],
  ['GET', '/v2/a/blobs/uploads/', 'METHOD_UNSUPPORTED'],
  ['POST', `/v2/a/blobs/uploads/${address}`, 'METHOD_UNSUPPORTED'],
])('refuses %s %s with %s', ([method, target, refusal]) => {
  expect(() => parseOperation(method, target)).toThrow(expect.objectContaining(fault(refusal)))
})

it('takes no operation without a permission, nor one in a repository that nobody has to be permitted', () => {
  const { getBlob, ...others } = requiredPermission
  // @ts-expect-error: getBlob has none.
  const without: RequiredPermissions = others
  // @ts-expect-error: it names a repository.
  const open: RequiredPermissions = { ...requiredPermission, getBlob: 'nothing' }
  // @ts-expect-error: it names none.
  const elsewhere: RequiredPermissions = { ...requiredPermission, ping: 'pull' }
  const whole: RequiredPermissions = { ...others, getBlob }
  // It is the compiler that tells; here they are only used.
  expect([without, open, elsewhere, whole].map(table => Object.keys(table).length)).toHaveLength(4)
})
