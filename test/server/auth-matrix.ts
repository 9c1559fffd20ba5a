/** The rows, columns and layers of the matrix in auth-matrix.test.ts. */
import type { Operation } from '../../server/operations.ts'
import { mediaTypes } from '../helpers/images.ts'

export type Level = 'none' | 'pull' | 'push' | 'delete' | 'admin'
export type Protection = 'frozen' | 'immutable' | 'no-delete'

/** What somebody shows, and what it is worth. */
export interface Row {
  readonly shows: 'nothing' | 'wrong' | 'dead' | 'basic' | 'bearer'
  readonly level: Level
}

export interface State {
  readonly isPublic: boolean
  readonly has: 'nothing' | 'another object' | 'the object'
  readonly protection?: Protection
}

export const states = {
  missing: { isPublic: false, has: 'nothing' },
  empty: { isPublic: false, has: 'another object' },
  full: { isPublic: false, has: 'the object' },
  'public-missing': { isPublic: true, has: 'nothing' },
  'public-empty': { isPublic: true, has: 'another object' },
  public: { isPublic: true, has: 'the object' },
  frozen: { isPublic: false, has: 'the object', protection: 'frozen' },
  'public-frozen': { isPublic: true, has: 'the object', protection: 'frozen' },
  locked: { isPublic: false, has: 'the object', protection: 'immutable' },
  kept: { isPublic: false, has: 'the object', protection: 'no-delete' },
} as const satisfies Readonly<Record<string, State>>

export interface Request {
  readonly kind: Operation['kind']
  readonly method: string
  /** Below the repository. */
  readonly path: string
  readonly body?: Buffer
  readonly type?: string
  readonly needs: Exclude<Level, 'none' | 'admin'>
  readonly changes?: true
  /** For who may: by what the repository has. */
  readonly answers: Readonly<Record<State['has'], number>>
  readonly refusedBy?: readonly Protection[]
}

const all = (status: number) => ({ nothing: status, 'another object': status, 'the object': status })
const there = (status: number) => ({ ...all(404), 'the object': status })

export interface Objects {
  readonly blob: { readonly digest: string; readonly bytes: Buffer }
  readonly other: { readonly digest: string; readonly bytes: Buffer }
  /** At the tag v1. */
  readonly first: { readonly digest: string; readonly bytes: Buffer }
  readonly second: { readonly digest: string; readonly bytes: Buffer }
}

const type = mediaTypes.oci.index
const write = { changes: true, needs: 'push', refusedBy: ['frozen'] } as const
const put = { ...write, kind: 'putManifest', method: 'PUT', type, answers: all(201) } as const
const move = { ...put, refusedBy: ['frozen', 'immutable'] } as const
const remove = { changes: true, method: 'DELETE', needs: 'delete', answers: there(202) } as const
const everything = ['frozen', 'immutable', 'no-delete'] as const

export const requestsFor = ({ blob, other, first, second }: Objects): readonly Request[] => [
  { kind: 'headBlob', method: 'HEAD', path: `blobs/${blob.digest}`, needs: 'pull', answers: there(200) },
  { kind: 'getBlob', method: 'GET', path: `blobs/${blob.digest}`, needs: 'pull', answers: there(200) },
  { kind: 'headManifest', method: 'HEAD', path: 'manifests/v1', needs: 'pull', answers: there(200) },
  {
    kind: 'headManifest',
    method: 'HEAD',
    path: `manifests/${first.digest}`,
    needs: 'pull',
    answers: there(200),
  },
  { kind: 'getManifest', method: 'GET', path: 'manifests/v1', needs: 'pull', answers: there(200) },
  {
    kind: 'getManifest',
    method: 'GET',
    path: `manifests/${first.digest}`,
    needs: 'pull',
    answers: there(200),
  },
  {
    kind: 'listTags',
    method: 'GET',
    path: 'tags/list',
    needs: 'pull',
    answers: { ...all(200), nothing: 404 },
  },
  {
    kind: 'listReferrers',
    method: 'GET',
    path: `referrers/${first.digest}`,
    needs: 'pull',
    answers: all(200),
  },
  { ...write, kind: 'startUpload', method: 'POST', path: 'blobs/uploads/', answers: all(202) },
  {
    ...write,
    kind: 'mountBlob',
    method: 'POST',
    path: `blobs/uploads/?mount=sha256:${'0'.repeat(64)}`,
    answers: all(202),
  },
  {
    ...write,
    kind: 'receiveBlob',
    method: 'POST',
    path: `blobs/uploads/?digest=${other.digest}`,
    body: other.bytes,
    answers: all(201),
  },
  { kind: 'uploadStatus', method: 'GET', path: 'blobs/uploads/x', needs: 'push', answers: all(404) },
  { kind: 'cancelUpload', method: 'DELETE', path: 'blobs/uploads/x', needs: 'push', answers: all(404) },
  {
    ...write,
    kind: 'appendUpload',
    method: 'PATCH',
    path: 'blobs/uploads/x',
    body: other.bytes,
    answers: all(404),
  },
  {
    ...write,
    kind: 'finishUpload',
    method: 'PUT',
    path: `blobs/uploads/x?digest=${other.digest}`,
    answers: all(404),
  },
  { ...put, path: 'manifests/v1', body: first.bytes },
  { ...put, path: 'manifests/v2', body: second.bytes },
  { ...put, path: `manifests/${second.digest}`, body: second.bytes },
  { ...put, path: `manifests/${second.digest}?tag=v2&tag=v3`, body: second.bytes },
  { ...move, path: 'manifests/v1', body: second.bytes },
  { ...move, path: `manifests/${second.digest}?tag=v2&tag=v1`, body: second.bytes },
  { ...remove, kind: 'deleteManifest', path: 'manifests/v1', refusedBy: everything },
  { ...remove, kind: 'deleteManifest', path: `manifests/${first.digest}`, refusedBy: everything },
  { ...remove, kind: 'deleteBlob', path: `blobs/${blob.digest}`, refusedBy: ['frozen', 'no-delete'] },
]
