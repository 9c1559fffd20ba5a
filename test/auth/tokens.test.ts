import { createLocalJWKSet, jwtVerify } from 'jose'
import { expect, it } from 'vitest'
import { type Identity, parseIdentity } from '../../auth/access.ts'
import { activeOf, firstRing, published, revoked, turned } from '../../auth/keys.ts'
import { parseScopes } from '../../auth/scopes.ts'
import { registryTokens } from '../../auth/tokens.ts'

const startMs = Date.UTC(2026, 10, 21, 12, 0, 0, 400)
const issuer = 'https://reg.acme.dev'
const service = 'reg.acme.dev'
const minuteMs = 60_000

/** A registry whose time and keys can be set. */
function registry() {
  const state = { nowMs: startMs, ring: firstRing(startMs) }
  const tokens = registryTokens({ issuer, service, ring: () => state.ring, now: () => state.nowMs })
  return { state, ...tokens }
}

function identity(word: string): Identity {
  const found = parseIdentity(word)
  if (!found) throw new TypeError(`${word} is nobody`)
  return found
}

const alice = { subject: identity('alice'), access: parseScopes(['repository:team/app:pull,push']) }

it.for(['anonymous', 'alice', 'robot:ci', 'workload:gha'])('says of %s what it was told', async word => {
  const { issue, verify } = registry()
  const subject = identity(word)
  const access = parseScopes(['repository:team/app:pull registry:catalog:*'])
  const { token, expiresInSeconds } = await issue({ subject, access, credential: 'abcdefghij' })
  expect(expiresInSeconds).toBe(900)
  const issuedMs = Math.floor(startMs / 1_000) * 1_000
  expect(await verify(token)).toMatchObject({
    subject,
    access,
    credential: 'abcdefghij',
    issuedMs,
    expiresMs: issuedMs + 15 * minuteMs,
  })
})

it('writes what others can verify by the published keys', async () => {
  const { issue, state } = registry()
  const { token } = await issue({ ...alice, credential: 'abcdefghij', policyVersion: '7' })
  const { protectedHeader, payload } = await jwtVerify(
    token,
    createLocalJWKSet({ keys: [...published(state.ring).keys] }),
    {
      currentDate: new Date(startMs),
    },
  )
  const iat = Math.floor(startMs / 1_000)
  expect(protectedHeader).toEqual({ alg: 'ES256', typ: 'JWT', kid: activeOf(state.ring).kid })
  expect(payload).toEqual({
    iss: issuer,
    aud: service,
    sub: 'user:alice',
    iat,
    nbf: iat - 10,
    exp: iat + 900,
    jti: expect.stringMatching(/^[A-Za-z0-9_-]{22}$/),
    access: [{ type: 'repository', name: 'team/app', actions: ['pull', 'push'] }],
    cid: 'abcdefghij',
    pv: '7',
  })
})

it('leaves the subject of an anonymous token empty', async () => {
  const { issue } = registry()
  const { token } = await issue({ subject: identity('anonymous'), access: [] })
  expect(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())).toMatchObject({
    sub: '',
  })
})

it('never makes a token twice', async () => {
  const { issue, verify } = registry()
  const [first, second] = await Promise.all([issue(alice), issue(alice)])
  expect((await verify(first.token)).id).not.toBe((await verify(second.token)).id)
})

it('lives no longer than what proved it', async () => {
  const { issue, verify } = registry()
  const expiresMs = startMs + 5 * minuteMs
  const { token, expiresInSeconds } = await issue({ ...alice, expiresMs })
  expect(expiresInSeconds).toBe(300)
  expect((await verify(token)).expiresMs).toBeLessThanOrEqual(expiresMs)
  await expect(issue({ ...alice, expiresMs: startMs - 1_000 })).rejects.toMatchObject({ fault: 'expired' })
})

it.for([
  { what: 'fresh', atMs: 0, verify: 'taken', verifyLate: 'taken' },
  { what: 'made by a clock that is a minute ahead', atMs: -minuteMs, verify: 'taken', verifyLate: 'taken' },
  { what: 'made by a clock further ahead', atMs: -minuteMs - 11_000, verify: 'early', verifyLate: 'early' },
  { what: 'about to expire', atMs: 15 * minuteMs - 1_000, verify: 'taken', verifyLate: 'taken' },
  { what: 'just expired', atMs: 16 * minuteMs - 1_000, verify: 'taken', verifyLate: 'taken' },
  { what: 'expired', atMs: 16 * minuteMs, verify: 'expired', verifyLate: 'taken' },
  {
    what: 'expired less than an hour ago',
    atMs: 76 * minuteMs - 1_000,
    verify: 'expired',
    verifyLate: 'taken',
  },
  { what: 'expired an hour ago', atMs: 76 * minuteMs, verify: 'expired', verifyLate: 'expired' },
])('treats a token alike, seen before or not, when it is $what', async ({ atMs, ...expected }) => {
  const { issue, state, ...by } = registry()
  const { token } = await issue(alice)
  const outcome = async (how: 'verify' | 'verifyLate', { verify, verifyLate }: typeof by) =>
    await { verify, verifyLate }[how](token).then(
      () => 'taken',
      (error: { fault: string }) => error.fault,
    )
  const unseen = () => registryTokens({ issuer, service, ring: () => state.ring, now: () => state.nowMs })
  await by.verify(token)
  state.nowMs = startMs + atMs
  for (const how of ['verify', 'verifyLate'] as const) {
    expect([how, await outcome(how, by)]).toEqual([how, expected[how]])
    expect([how, await outcome(how, unseen())]).toEqual([how, expected[how]])
  }
})

it('takes tokens of a key that has retired, and of the next one', async () => {
  const { issue, verify, state } = registry()
  const before = state.ring
  const { token } = await issue(alice)
  state.ring = turned(before, startMs)
  await verify(token)
  const { token: later } = await issue(alice)
  state.ring = before
  await verify(later)
})

it('takes no token of a key from the moment it is revoked, though it has taken it before', async () => {
  const { issue, verify, verifyLate, state } = registry()
  const { token } = await issue(alice)
  await verify(token)
  state.ring = revoked(state.ring, activeOf(state.ring).kid, startMs)
  await expect(verify(token)).rejects.toMatchObject({ fault: 'unknown-key' })
  await expect(verifyLate(token)).rejects.toMatchObject({ fault: 'unknown-key' })
  await verify((await issue(alice)).token)
})

it('keeps nothing of a token that it did not take', async () => {
  const { issue, verify } = registry()
  const { token } = await issue(alice)
  const forged = `${token.slice(0, -86)}${'A'.repeat(86)}`
  await expect(verify(forged)).rejects.toMatchObject({ fault: 'signature' })
  await verify(token)
  await expect(verify(forged)).rejects.toMatchObject({ fault: 'signature' })
})
