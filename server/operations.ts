/** The HTTP API as a type: a request is parsed into one of these, or refused. */
import type { Action } from '../auth/scopes.ts'
import { RegistryError } from '../oci/errors.ts'
import {
  type Algorithm,
  type Digest,
  parseDigest,
  parseReference,
  parseRepositoryName,
  parseTag,
  type Reference,
  type RepositoryName,
  type Tag,
} from '../oci/names.ts'
import { parseTokenRequest, type TokenRequest } from './token-request.ts'

interface InRepository {
  readonly name: RepositoryName
}

interface Paged {
  readonly limit: number
  readonly after: string | undefined
}

type Blob = InRepository & { readonly digest: Digest }
type Upload = InRepository & { readonly address: string }
type Manifest = InRepository & { readonly reference: Reference }

/** Comments name the distribution specification's endpoints. */
export type Operation =
  | { readonly kind: 'ping' } //                                                        end-1
  | ({ readonly kind: 'headBlob' } & Blob) // end-2
  | ({ readonly kind: 'getBlob' } & Blob) //                               end-2
  | ({ readonly kind: 'headManifest' } & Manifest) // end-3
  | ({ readonly kind: 'getManifest' } & Manifest) //                   end-3
  | ({ readonly kind: 'startUpload'; readonly algorithm: Algorithm } & InRepository) // end-4a, 4c
  | ({ readonly kind: 'receiveBlob' } & Blob) //                                        end-4b
  | ({ readonly kind: 'appendUpload' } & Upload) //                                     end-5
  | ({ readonly kind: 'finishUpload' } & Upload & Blob) //                              end-6
  | ({ readonly kind: 'putManifest'; readonly tags: readonly Tag[] } & Manifest) //     end-7
  | ({ readonly kind: 'listTags' } & InRepository & Paged) //                           end-8
  | ({ readonly kind: 'deleteManifest' } & Manifest) //                                 end-9
  | ({ readonly kind: 'deleteBlob' } & Blob) //                                         end-10
  | ({ readonly kind: 'mountBlob'; readonly from: RepositoryName | undefined } & Blob) // end-11
  | ({ readonly kind: 'listReferrers'; readonly artifactType: string | undefined } & Blob & Paged) // end-12
  | ({ readonly kind: 'uploadStatus' } & Upload) //                                     end-13
  | ({ readonly kind: 'cancelUpload' } & Upload) //                                     end-14
  | ({ readonly kind: 'catalog' } & Paged)
  | { readonly kind: 'search'; readonly term: string; readonly limit: number; readonly page: number }
  | { readonly kind: 'searchPing' }
  | ({ readonly kind: 'issueToken' } & TokenRequest)
  | { readonly kind: 'issueTokenByForm' }
  | { readonly kind: 'signingKeys' }
  | { readonly kind: 'alive' }
  | { readonly kind: 'ready' }

export type Kind = Operation['kind']
export type OperationOf<K extends Kind> = Extract<Operation, { kind: K }>

/**
 * What is asked of who wants an operation that names no repository: `credentials` of any kind; `catalog`, the same, and
 * a token must be for it; `welcome`, who shows nothing is anonymous; `nothing`, nobody looks.
 */
type Permission = 'credentials' | 'catalog' | 'welcome' | 'nothing'

/** An operation without a permission, or with one of the other kind, does not compile. */
export type RequiredPermissions = {
  readonly [K in Kind]: OperationOf<K> extends InRepository ? Action : Permission
}

/** What each operation needs: if it names a repository, a level on it. A mount asks for pull on its source too. */
export const requiredPermission = {
  ping: 'credentials',
  headBlob: 'pull',
  getBlob: 'pull',
  headManifest: 'pull',
  getManifest: 'pull',
  startUpload: 'push',
  receiveBlob: 'push',
  appendUpload: 'push',
  finishUpload: 'push',
  putManifest: 'push',
  listTags: 'pull',
  deleteManifest: 'delete',
  deleteBlob: 'delete',
  mountBlob: 'push',
  listReferrers: 'pull',
  uploadStatus: 'push',
  cancelUpload: 'push',
  catalog: 'catalog',
  search: 'welcome',
  searchPing: 'nothing',
  issueToken: 'nothing',
  issueTokenByForm: 'nothing',
  signingKeys: 'nothing',
  alive: 'nothing',
  ready: 'nothing',
} as const satisfies RequiredPermissions

/** Most entries of one answer, however many were asked for; a Link leads to the rest. */
const maxPageLength = 10_000
const maxSearchResults = 100

const noQuery = new URLSearchParams()

/** Throws the RegistryError that answers a request which is none of the API's. `target` is the request's raw target. */
export function parseOperation(method: string, target: string): Operation {
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  const query = mark < 0 ? noQuery : new URLSearchParams(target.slice(mark + 1))
  if (path.startsWith('/v2/')) return parseV2(method, plainPath(path), query)
  switch (path) {
    case '/v2':
      return read(method, { kind: 'ping' })
    case '/auth/token':
      if (method === 'GET') return { kind: 'issueToken', ...parseTokenRequest(query) }
      if (method === 'POST') return { kind: 'issueTokenByForm' }
      throw unsupported('GET, POST')
    case '/.well-known/jwks.json':
      return read(method, { kind: 'signingKeys' })
    case '/healthz':
      return read(method, { kind: 'alive' })
    case '/readyz':
      return read(method, { kind: 'ready' })
    case '/v1/_ping':
      return read(method, { kind: 'searchPing' })
    case '/v1/search': {
      const limit = Math.min(count(query, 'n') ?? 25, maxSearchResults)
      return read(method, {
        kind: 'search',
        term: query.get('q') ?? '',
        limit,
        page: count(query, 'page') ?? 1,
      })
    }
    default:
      throw new RegistryError('PATH_UNKNOWN')
  }
}

/** A path whose every character means itself. The one escape that clients make is that of a digest's colon. */
function plainPath(path: string): string {
  const plain = path.includes('%') ? path.replaceAll(/%3a/gi, ':') : path
  if (!/^[\w.~/:=@+!,-]+$/.test(plain) || /\/(?:\/|\.{1,2}(?:\/|$))/.test(plain))
    throw new RegistryError('PATH_UNKNOWN')
  return plain
}

/** One scan from the right: a name may hold slashes and every word of the API. */
function parseV2(method: string, path: string, query: URLSearchParams): Operation {
  if (path === '/v2/') return read(method, { kind: 'ping' })
  if (path === '/v2/_catalog') return read(method, { kind: 'catalog', ...paging(query) })
  if (path.endsWith('/blobs/uploads/') || path.endsWith('/blobs/uploads'))
    return parseUploadStart(method, path.slice(4, path.lastIndexOf('/blobs/uploads')), query)
  const lastSlash = path.lastIndexOf('/')
  const word = path.slice(lastSlash + 1)
  const kindSlash = path.lastIndexOf('/', lastSlash - 1)
  if (kindSlash < 4 || word === '') throw new RegistryError('PATH_UNKNOWN')
  const kind = path.slice(kindSlash + 1, lastSlash)
  const name = path.slice(4, kindSlash)
  switch (kind) {
    case 'manifests':
      return parseManifestRequest(method, parseRepositoryName(name), word, query)
    case 'blobs':
      return parseBlobRequest(method, parseRepositoryName(name), parseDigest(word))
    case 'uploads':
      if (!name.endsWith('/blobs')) break
      return parseUploadRequest(method, parseRepositoryName(name.slice(0, -'/blobs'.length)), word, query)
    case 'tags':
      if (word !== 'list') break
      return read(method, { kind: 'listTags', name: parseRepositoryName(name), ...paging(query) })
    case 'referrers': {
      const artifactType = query.get('artifactType') || undefined
      const found = {
        name: parseRepositoryName(name),
        digest: parseDigest(word),
        artifactType,
        ...paging(query),
      }
      return read(method, { kind: 'listReferrers', ...found })
    }
  }
  throw new RegistryError('PATH_UNKNOWN')
}

function parseManifestRequest(
  method: string,
  name: RepositoryName,
  word: string,
  query: URLSearchParams,
): Operation {
  const reference = parseReference(word)
  switch (method) {
    case 'GET':
      return { kind: 'getManifest', name, reference }
    case 'HEAD':
      return { kind: 'headManifest', name, reference }
    case 'PUT':
      return { kind: 'putManifest', name, reference, tags: query.getAll('tag').map(parseTag) }
    case 'DELETE':
      return { kind: 'deleteManifest', name, reference }
    default:
      throw unsupported('GET, HEAD, PUT, DELETE')
  }
}

function parseBlobRequest(method: string, name: RepositoryName, digest: Digest): Operation {
  switch (method) {
    case 'GET':
      return { kind: 'getBlob', name, digest }
    case 'HEAD':
      return { kind: 'headBlob', name, digest }
    case 'DELETE':
      return { kind: 'deleteBlob', name, digest }
    default:
      throw unsupported('GET, HEAD, DELETE')
  }
}

function parseUploadStart(method: string, text: string, query: URLSearchParams): Operation {
  const name = parseRepositoryName(text)
  if (method !== 'POST') throw unsupported('POST')
  const mount = query.get('mount')
  const from = query.get('from')
  if (mount !== null)
    return {
      kind: 'mountBlob',
      name,
      digest: parseDigest(mount),
      from: from ? parseRepositoryName(from) : undefined,
    }
  const digest = query.get('digest')
  if (digest !== null) return { kind: 'receiveBlob', name, digest: parseDigest(digest) }
  const algorithm = query.get('digest-algorithm') ?? 'sha256'
  if (algorithm !== 'sha256' && algorithm !== 'sha512')
    throw new RegistryError('DIGEST_INVALID', {
      message: 'digest algorithm is not supported: expected sha256 or sha512',
    })
  return { kind: 'startUpload', name, algorithm }
}

function parseUploadRequest(
  method: string,
  name: RepositoryName,
  address: string,
  query: URLSearchParams,
): Operation {
  switch (method) {
    case 'GET':
    case 'HEAD':
      return { kind: 'uploadStatus', name, address }
    case 'PATCH':
      return { kind: 'appendUpload', name, address }
    case 'PUT':
      return { kind: 'finishUpload', name, address, digest: parseDigest(query.get('digest') ?? '') }
    case 'DELETE':
      return { kind: 'cancelUpload', name, address }
    default:
      throw unsupported('GET, PATCH, PUT, DELETE')
  }
}

function read(method: string, operation: Operation): Operation {
  if (method === 'GET' || method === 'HEAD') return operation
  throw unsupported('GET, HEAD')
}

const unsupported = (allow: string) => new RegistryError('METHOD_UNSUPPORTED', { headers: { Allow: allow } })

/** A whole number of a query, or undefined if it is not there. PAGE_INVALID for anything else. */
function count(query: URLSearchParams, key: string): number | undefined {
  const text = query.get(key)
  if (text === null) return undefined
  if (!/^\d{1,15}$/.test(text))
    throw new RegistryError('PAGE_INVALID', { detail: { [key]: text.slice(0, 80) } })
  return Number(text)
}

function paging(query: URLSearchParams): Paged {
  return {
    limit: Math.min(count(query, 'n') ?? maxPageLength, maxPageLength),
    after: query.get('last') ?? undefined,
  }
}
