/** What an S3 request is, read from the wire: paths are `/bucket/key`. */
import type { IncomingHttpHeaders } from 'node:http'

export type S3RequestKind =
  | `${string} service`
  | `${string} bucket`
  | 'GET list'
  | 'GET uploads'
  | 'POST delete'
  | `${string} object`
  | 'PUT copy'
  | 'POST uploads'
  | 'PUT part'
  | 'PUT part copy'
  | 'GET parts'
  | 'POST complete'
  | 'DELETE upload'

export interface S3WireRequest {
  readonly kind: S3RequestKind
  readonly method: string
  readonly bucket: string
  /** Decoded; empty for the bucket itself. */
  readonly key: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
}

export function readS3Request(method: string, target: string, headers: IncomingHttpHeaders): S3WireRequest {
  const url = new URL(target, 'http://store')
  const [, bucket = '', ...rest] = url.pathname.split('/')
  const key = decodeURIComponent(rest.join('/'))
  const request = { method, bucket, key, query: url.searchParams, headers }
  return { ...request, kind: kindOf(request) }
}

function kindOf({ method, bucket, key, query, headers }: Omit<S3WireRequest, 'kind'>): S3RequestKind {
  if (bucket === '') return `${method} service`
  if (key === '') return kindInBucket(method, query)
  const copies = headers['x-amz-copy-source'] !== undefined
  if (method === 'PUT' && query.has('partNumber')) return copies ? 'PUT part copy' : 'PUT part'
  if (method === 'PUT' && copies) return 'PUT copy'
  if (method === 'POST' && query.has('uploads')) return 'POST uploads'
  if (query.has('uploadId')) {
    if (method === 'GET') return 'GET parts'
    if (method === 'POST') return 'POST complete'
    if (method === 'DELETE') return 'DELETE upload'
  }
  return `${method} object`
}

function kindInBucket(method: string, query: URLSearchParams): S3RequestKind {
  if (method === 'GET' && query.has('list-type')) return 'GET list'
  if (method === 'GET' && query.has('uploads')) return 'GET uploads'
  if (method === 'POST' && query.has('delete')) return 'POST delete'
  return `${method} bucket`
}
