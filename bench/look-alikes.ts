/** Pairs of requests that must not be told apart, by the time that the answer takes (auth-security 3.3, rows 18 to 20). */

export interface Asked {
  readonly method: string
  readonly path: string
  readonly authorization?: string
}

export interface LookAlikes {
  readonly title: string
  /** What both are answered. */
  readonly status: number
  readonly first: Asked
  readonly second: Asked
}

/** What the registry holds that is asked. Names that are compared are of one length. */
export const hiddenRepository = 'hidden/aaaa'
const missingRepository = 'hidden/zzzz'
export const ownRepository = 'public/app'
export const person = { name: 'alice', password: 'the password of alice' }
const nobody = 'nobod'

export interface Known {
  /** Of a blob and a manifest that only the hidden repository has. */
  readonly blob: string
  readonly manifest: string
  /** Of a token for `ownRepository`, as a header. */
  readonly bearer: string
}

const basic = (name: string, password: string) =>
  `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`
const absent = `sha256:${'5'.repeat(64)}`

export function lookAlikes({ blob, manifest, bearer }: Known): readonly LookAlikes[] {
  const shown = basic(person.name, person.password)
  const ways = [
    ['nobody', {}, 401],
    ['a token', { authorization: bearer }, 401],
    ['a password', { authorization: shown }, 403],
  ] as const
  const targets = [
    ['GET', 'manifests/latest'],
    ['HEAD', `blobs/${blob}`],
    ['GET', 'tags/list'],
  ] as const
  const repositories = ways.flatMap(([who, by, status]) =>
    targets.map(([method, path]) => ({
      title: `forbidden or missing: ${method} ${path.split(':')[0]}, by ${who}`,
      status,
      first: { method, path: `/v2/${hiddenRepository}/${path}`, ...by },
      second: { method, path: `/v2/${missingRepository}/${path}`, ...by },
    })),
  )
  const inOwn = (path: string, method = 'HEAD') => ({
    method,
    path: `/v2/${ownRepository}/${path}`,
    authorization: shown,
  })
  const login = (path: string, name: string) => ({
    method: 'GET',
    path,
    authorization: basic(name, 'not the password of anybody'),
  })
  return [
    ...repositories,
    {
      title: 'mount from what is forbidden or missing',
      status: 202,
      first: inOwn(`blobs/uploads/?mount=${blob}&from=${hiddenRepository}`, 'POST'),
      second: inOwn(`blobs/uploads/?mount=${blob}&from=${missingRepository}`, 'POST'),
    },
    {
      title: 'a manifest that is elsewhere or nowhere, by its digest',
      status: 404,
      first: inOwn(`manifests/${manifest}`),
      second: inOwn(`manifests/${absent}`),
    },
    {
      title: 'a blob that is elsewhere or nowhere, by its digest',
      status: 404,
      first: inOwn(`blobs/${blob}`),
      second: inOwn(`blobs/${absent}`),
    },
    {
      title: 'mount from anywhere what is elsewhere or nowhere',
      status: 202,
      first: inOwn(`blobs/uploads/?mount=${blob}`, 'POST'),
      second: inOwn(`blobs/uploads/?mount=${absent}`, 'POST'),
    },
    ...['/v2/', '/auth/token'].map(path => ({
      title: `wrong password or unknown user: ${path}`,
      status: 401,
      first: login(path, person.name),
      second: login(path, nobody),
    })),
  ]
}
