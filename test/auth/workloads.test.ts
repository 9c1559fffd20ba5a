import { createHmac } from 'node:crypto'
import { exportJWK, generateKeyPair, type JWTHeaderParameters, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { type Workload, workloadVerifier } from '../../auth/workloads.ts'
import { name } from '../helpers/principals.ts'
import { io } from '../helpers/waiting.ts'

const nowMs = Date.UTC(2026, 10, 21, 12)
const nowSeconds = nowMs / 1_000
const github = 'https://token.actions.githubusercontent.com'
const cluster = 'https://kubernetes.default.svc.cluster.local'
const audience = 'reg.acme.dev'

const workloads: readonly Workload[] = [
  {
    name: name('gha-team-a'),
    issuer: github,
    audience,
    match: {
      repository_owner_id: '4242',
      repository: 'acme/team-a-*',
      ref: 'refs/heads/main',
      event_name: 'push',
    },
  },
  { name: name('gha-any'), issuer: github, audience, match: { repository_owner_id: '4242' } },
  {
    name: name('gha-elsewhere'),
    issuer: github,
    audience: 'elsewhere',
    match: { repository_owner_id: '4242' },
  },
  { name: name('k8s-prod'), issuer: cluster, audience, match: { 'kubernetes.io.namespace': 'prod-*' } },
]

const [githubKey, clusterKey, stranger] = await Promise.all([
  generateKeyPair('RS256'),
  generateKeyPair('ES256'),
  generateKeyPair('RS256'),
])
const jwksOf = async (key: CryptoKey, kid: string, alg: string) => ({
  keys: [{ ...(await exportJWK(key)), kid, alg }],
})
const jwks = new Map([
  [github, await jwksOf(githubKey.publicKey, 'g1', 'RS256')],
  [cluster, await jwksOf(clusterKey.publicKey, 'k1', 'ES256')],
])

const { isWorkloadToken, verify } = workloadVerifier({
  workloads,
  keys: async ({ issuer }) => {
    const found = jwks.get(issuer)
    if (!found) throw new Error(`no keys of ${issuer}`)
    return found
  },
  now: () => nowMs,
})

const claims = {
  iss: github,
  aud: audience,
  sub: 'repo:acme/team-a-api:ref:refs/heads/main',
  iat: nowSeconds - 30,
  exp: nowSeconds + 300,
  repository_owner_id: '4242',
  repository: 'acme/team-a-api',
  ref: 'refs/heads/main',
  event_name: 'push',
}

const sign = async (
  payload: object,
  header: JWTHeaderParameters = { alg: 'RS256', kid: 'g1' },
  key: CryptoKey = githubKey.privateKey,
) => await new SignJWT({ ...payload }).setProtectedHeader(header).sign(key)
const signForCluster = async (payload: object) =>
  await sign({ ...claims, iss: cluster, ...payload }, { alg: 'ES256', kid: 'k1' }, clusterKey.privateKey)

it('knows the workloads that a token stands for, in the order of the configuration', async () => {
  const token = await sign(claims)
  expect(isWorkloadToken(token)).toBe(true)
  expect(await verify(token, io)).toEqual({
    workloads: ['gha-team-a', 'gha-any'],
    subject: claims.sub,
    expiresMs: claims.exp * 1_000,
  })
})

it('gives a token only what all of its claims match', async () => {
  for (const other of [
    { ref: 'refs/heads/dev' },
    { event_name: 'pull_request' },
    { repository: 'acme/team-b' },
  ]) {
    const token = await sign({ ...claims, ...other })
    expect((await verify(token, io)).workloads).toEqual(['gha-any'])
  }
})

describe('the claims of a token', () => {
  const only = (match: Workload['match'], issuer = cluster) =>
    workloadVerifier({
      workloads: [{ name: name('x'), issuer, audience, match }],
      keys: async () => jwks.get(issuer) ?? { keys: [] },
      now: () => nowMs,
    })

  it.for<[match: Workload['match'], payload: object]>([
    [{ 'kubernetes.io.namespace': 'prod-*' }, { 'kubernetes.io': { namespace: 'prod-eu' } }],
    [{ 'kubernetes.io.pod.name': 'web' }, { 'kubernetes.io': { pod: { name: 'web' } } }],
    [{ 'a.b.c': 'x' }, { 'a.b.c': 'x', a: { b: { c: 'y' } } }],
    [{ project_id: '42' }, { project_id: 42 }],
    [{ ref_protected: 'true' }, { ref_protected: true }],
    [{ groups: 'ops' }, { groups: ['dev', 'ops'] }],
    [{ ref: 'refs/heads/*' }, { ref: 'refs/heads/a/b' }],
  ])('match %j in %j', async ([match, payload]) => {
    expect((await only(match).verify(await signForCluster(payload), io)).workloads).toEqual(['x'])
  })

  it.for<[match: Workload['match'], payload: object]>([
    [{}, {}],
    [{ 'kubernetes.io.namespace': 'prod-*' }, { 'kubernetes.io': { namespace: 'dev' } }],
    [{ 'kubernetes.io.namespace': 'prod-*' }, { 'kubernetes.io': 'prod-eu' }],
    [{ 'a.b.c': 'x' }, { 'a.b.c': 'y', a: { b: { c: 'x' } } }],
    [{ 'a.b': '*' }, { a: { c: 'x' } }],
    [{ 'a.0': 'x' }, { a: ['x'] }],
    [{ 'a.length': '1' }, { a: ['x'] }],
    [{ a: '*' }, { a: null }],
    [{ a: '*' }, { a: {} }],
    [{ a: '*' }, { a: [] }],
    [{ a: '*' }, { a: [['x']] }],
    [{ constructor: '*' }, {}],
    [{ '__proto__.x': '*' }, {}],
    [{ repository: 'acme/team' }, { repository: 'acme/team-a' }],
    [{ repository: 'acme.team' }, { repository: 'acme/team' }],
  ])('do not match %j in %j', async ([match, payload]) => {
    const { verify } = only(match)
    await expect(verify(await signForCluster(payload), io)).rejects.toMatchObject({ fault: 'unmatched' })
  })
})

it.for<[what: string, make: () => Promise<string>, fault: string]>([
  ['signed by a stranger', () => sign(claims, { alg: 'RS256', kid: 'g1' }, stranger.privateKey), 'signature'],
  [
    'of the key of another issuer',
    () => sign(claims, { alg: 'ES256', kid: 'k1' }, clusterKey.privateKey),
    'unknown-key',
  ],
  ['of a kid that is not published', () => sign(claims, { alg: 'RS256', kid: 'g2' }), 'unknown-key'],
  ['without a kid', () => sign(claims, { alg: 'RS256' }), 'malformed'],
  [
    'with a key of its own',
    async () =>
      sign(
        claims,
        { alg: 'RS256', kid: 'g1', jwk: await exportJWK(stranger.publicKey) },
        stranger.privateKey,
      ),
    'malformed',
  ],
  [
    'with an address of keys',
    () => sign(claims, { alg: 'RS256', kid: 'g1', jku: 'http://127.0.0.1/' }),
    'malformed',
  ],
  ['for somebody else', () => sign({ ...claims, aud: 'other.dev' }), 'claims'],
  ['for nobody', () => sign({ ...claims, aud: undefined }), 'claims'],
  ['that has expired', () => sign({ ...claims, exp: nowSeconds - 60 }), 'expired'],
  ['that never expires', () => sign({ ...claims, exp: undefined }), 'claims'],
  ['that is more than an hour old', () => sign({ ...claims, iat: nowSeconds - 3_661 }), 'expired'],
  ['of an unknown age', () => sign({ ...claims, iat: undefined }), 'claims'],
  ['of tomorrow', () => sign({ ...claims, iat: nowSeconds + 3_600, exp: nowSeconds + 7_200 }), 'claims'],
  ['that is not valid yet', () => sign({ ...claims, nbf: nowSeconds + 61 }), 'claims'],
  ['of an issuer with a slash more', () => sign({ ...claims, iss: `${github}/` }), 'malformed'],
  ['of an issuer in capitals', () => sign({ ...claims, iss: github.toUpperCase() }), 'malformed'],
  ['of no issuer', () => sign({ ...claims, iss: undefined }), 'malformed'],
  ['of two issuers', () => sign({ ...claims, iss: [github] }), 'malformed'],
  ['of nobody we know', () => sign({ ...claims, repository_owner_id: '4243' }), 'unmatched'],
  ['of another owner with a number', () => sign({ ...claims, repository_owner_id: 42420 }), 'unmatched'],
  ['with a space behind', async () => `${await sign(claims)} `, 'malformed'],
  ['that is too long', () => sign({ ...claims, pad: 'x'.repeat(12_000) }), 'malformed'],
  ['with alg none', async () => unsigned({ alg: 'none', kid: 'g1' }, ''), 'malformed'],
  ['with the public key as a secret', async () => unsigned({ alg: 'HS256', kid: 'g1' }), 'malformed'],
])('does not take a token %s', async ([, make, fault]) => {
  await expect(verify(await make(), io)).rejects.toMatchObject({ name: 'InvalidToken', fault })
})

/** A token that no library would make. */
function unsigned(header: object, signature?: string): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const input = `${encode(header)}.${encode(claims)}`
  const secret = JSON.stringify(jwks.get(github))
  return `${input}.${signature ?? createHmac('sha256', secret).update(input).digest('base64url')}`
}

it.for(['', 'hunter2', 'a.b.c', 'slw_p_abc', '..', '{}.{}.{}'])('takes %j for a password', text => {
  expect(isWorkloadToken(text)).toBe(false)
})

it('takes a token of an issuer that is not configured for a password', async () => {
  expect(isWorkloadToken(await sign({ ...claims, iss: 'https://evil.example' }))).toBe(false)
})

it('says so when there are no keys to be had', async () => {
  const cut = workloadVerifier({
    workloads,
    keys: async () => Promise.reject(new Error('the issuer does not answer')),
    now: () => nowMs,
  })
  await expect(cut.verify(await sign(claims), io)).rejects.toThrow('the issuer does not answer')
})
