/** The means to make tokens that differ from a good one in one thing. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { activeOf, firstRing, type KeyRing, makeKey, type NewKey, revoked, turned } from '../../auth/keys.ts'
import { registryTokens } from '../../auth/tokens.ts'

export const nowMs = Date.UTC(2026, 10, 21, 12)
export const nowSeconds = nowMs / 1_000
export const issuer = 'https://reg.acme.dev'
export const service = 'reg.acme.dev'

/** A ring in which one key was revoked and one has retired. */
const first = turned(firstRing(nowMs - 2_000), nowMs - 1_000)
export const leaked = activeOf(first)
export const ring = revoked(first, leaked.kid, nowMs)
export const ours = activeOf(ring)
export const tokensOf = (current: KeyRing, who = { issuer, service }) =>
  registryTokens({ ...who, ring: () => current, now: () => nowMs })
export const tokens = tokensOf(ring)

export const privateKeyOf = ({ publicJwk, d }: NewKey) =>
  createPrivateKey({ key: { ...publicJwk, d }, format: 'jwk' })
export const stranger = makeKey()
export const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
export const publicPem = createPublicKey({ key: { ...ours.publicJwk }, format: 'jwk' }).export({
  type: 'spki',
  format: 'pem',
})

export const header = { alg: 'ES256', typ: 'JWT', kid: ours.kid }
export const claims = {
  access: [{ type: 'repository', name: 'team/app', actions: ['pull', 'push'] }],
  cid: 'abcdefghij',
  iss: issuer,
  aud: service,
  sub: 'user:alice',
  iat: nowSeconds,
  nbf: nowSeconds - 10,
  exp: nowSeconds + 900,
  jti: 'AAAAAAAAAAAAAAAAAAAAAA',
}

type Signer = (input: string) => Buffer | string
export const es256 =
  (key: KeyObject): Signer =>
  input =>
    sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
const bySigningKey = es256(privateKeyOf(ours))

export const encode = (part: unknown) =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')

/** A token of these parts, as text or as what becomes JSON. */
export function forge(head: unknown, body: unknown, signer: Signer = bySigningKey): string {
  const input = `${encode(head)}.${encode(body)}`
  const signature = signer(input)
  return `${input}.${typeof signature === 'string' ? signature : signature.toString('base64url')}`
}

export const good = forge(header, claims)
export const [goodHead = '', goodBody = '', goodSignature = ''] = good.split('.')
export const withHeader = (more: object) => forge({ ...header, ...more }, claims)
export const withClaims = (more: object) => forge(header, { ...claims, ...more })
export const without = (claim: keyof typeof claims) => {
  const { [claim]: _, ...rest } = claims
  return forge(header, rest)
}
export const withAccess = (...access: readonly unknown[]) => withClaims({ access })
export const repository = { type: 'repository', name: 'team/app', actions: ['pull'] }
