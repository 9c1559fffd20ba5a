/** Tokens that somebody else made. Each differs from a good one in one thing. */
import { createHmac, sign } from 'node:crypto'
import { expect, it } from 'vitest'
import { firstRing } from '../../auth/keys.ts'
import {
  claims,
  es256,
  forge,
  good,
  goodBody,
  goodHead,
  goodSignature,
  header,
  issuer,
  leaked,
  nowMs,
  ours,
  privateKeyOf,
  publicPem,
  ring,
  rsa,
  service,
  stranger,
  tokens,
  tokensOf,
  withClaims,
  withHeader,
} from './forge.ts'

it('takes the token that the others are made from', async () => {
  expect(await tokens.verify(good)).toMatchObject({
    id: claims.jti,
    subject: { kind: 'user', name: 'alice' },
    credential: claims.cid,
    access: claims.access,
  })
})

it.for<[what: string, token: string, fault: string]>([
  // Another algorithm.
  ['alg none without a signature', forge({ ...header, alg: 'none' }, claims, () => ''), 'malformed'],
  ['alg none with a signature', withHeader({ alg: 'none' }), 'unknown-key'],
  ['alg nOnE', withHeader({ alg: 'nOnE' }), 'unknown-key'],
  [
    'HS256 with the public key as the secret',
    forge({ ...header, alg: 'HS256' }, claims, input =>
      createHmac('sha256', publicPem).update(input).digest(),
    ),
    'malformed',
  ],
  [
    'HS512 with the public key as the secret, as long as ES256',
    forge({ ...header, alg: 'HS512' }, claims, input =>
      createHmac('sha512', publicPem).update(input).digest(),
    ),
    'unknown-key',
  ],
  [
    'RS256 with a key of its own',
    forge({ ...header, alg: 'RS256' }, claims, input => sign('sha256', Buffer.from(input), rsa.privateKey)),
    'malformed',
  ],
  ['ES384', withHeader({ alg: 'ES384' }), 'unknown-key'],
  ['no alg', forge({ typ: 'JWT', kid: ours.kid }, claims), 'unknown-key'],
  ['several algs', withHeader({ alg: ['ES256'] }), 'unknown-key'],
  // Another key.
  ['the key of a stranger under our kid', forge(header, claims, es256(privateKeyOf(stranger))), 'signature'],
  [
    'the key and the kid of a stranger',
    forge({ ...header, kid: stranger.kid }, claims, es256(privateKeyOf(stranger))),
    'unknown-key',
  ],
  [
    'a key that was revoked',
    forge({ ...header, kid: leaked.kid }, claims, es256(privateKeyOf(leaked))),
    'unknown-key',
  ],
  [
    'a key that was revoked under the kid of another',
    forge(header, claims, es256(privateKeyOf(leaked))),
    'signature',
  ],
  ['no kid', forge({ alg: 'ES256', typ: 'JWT' }, claims), 'unknown-key'],
  ['an empty kid', withHeader({ kid: '' }), 'unknown-key'],
  ['a kid that is a list', withHeader({ kid: [ours.kid] }), 'unknown-key'],
  ['a kid that is a number', withHeader({ kid: 0 }), 'unknown-key'],
  ['a kid that is null', withHeader({ kid: null }), 'unknown-key'],
  ['a kid that is a path', withHeader({ kid: '../../dev/null' }), 'unknown-key'],
  ['a kid that is SQL', withHeader({ kid: "' OR 1=1 --" }), 'unknown-key'],
  ['a kid of every object', withHeader({ kid: '__proto__' }), 'unknown-key'],
  ['a kid with a space', withHeader({ kid: `${ours.kid} ` }), 'unknown-key'],
  [
    'a key that it brings along (jwk)',
    forge({ ...header, jwk: stranger.publicJwk }, claims, es256(privateKeyOf(stranger))),
    'unknown-key',
  ],
  ['our own key brought along (jwk)', withHeader({ jwk: ours.publicJwk }), 'unknown-key'],
  ['an address of keys (jku)', withHeader({ jku: 'http://127.0.0.1/jwks' }), 'unknown-key'],
  ['an address of a certificate (x5u)', withHeader({ x5u: 'http://127.0.0.1/cert' }), 'unknown-key'],
  ['a certificate (x5c)', withHeader({ x5c: ['MIIB'] }), 'unknown-key'],
  ['a thumbprint (x5t)', withHeader({ x5t: 'AAAA' }), 'unknown-key'],
  // Another header.
  ['an extension that must be understood (crit)', withHeader({ crit: ['exp'] }), 'unknown-key'],
  ['an unencoded body (b64)', withHeader({ b64: false, crit: ['b64'] }), 'unknown-key'],
  ['compression (zip)', withHeader({ zip: 'DEF' }), 'unknown-key'],
  ['another type', withHeader({ typ: 'at+jwt' }), 'unknown-key'],
  ['no type', forge({ alg: 'ES256', kid: ours.kid }, claims), 'unknown-key'],
  ['a nested token (cty)', withHeader({ cty: 'JWT' }), 'unknown-key'],
  [
    'a header with a key twice',
    forge(`{"alg":"none","alg":"ES256","typ":"JWT","kid":"${ours.kid}"}`, claims),
    'unknown-key',
  ],
  ['a header with white space', forge(`${JSON.stringify(header)} `, claims), 'unknown-key'],
  ['a header that is no JSON', forge('ES256', claims), 'unknown-key'],
  ['a header that is a list', forge([header], claims), 'unknown-key'],
  // Another spelling.
  ['nothing', '', 'malformed'],
  ['two dots', '..', 'malformed'],
  ['two parts', `${goodHead}.${goodBody}`, 'malformed'],
  ['no signature', `${goodHead}.${goodBody}.`, 'malformed'],
  ['four parts', `${good}.${goodSignature}`, 'malformed'],
  ['five parts', `${good}.a.b`, 'malformed'],
  ['a space behind', `${good} `, 'malformed'],
  ['a space before', ` ${good}`, 'malformed'],
  ['a line break behind', `${good}\n`, 'malformed'],
  ['a NUL behind', `${good}\u0000`, 'malformed'],
  ['bytes behind the signature', `${good}AA`, 'malformed'],
  ['padding', `${good}==`, 'malformed'],
  ['padding in the body', `${goodHead}.${goodBody}=.${goodSignature}`, 'malformed'],
  ['a signature that is cut', good.slice(0, -1), 'malformed'],
  ['a signature of zeros', `${goodHead}.${goodBody}.${'A'.repeat(86)}`, 'signature'],
  [
    'a signature in DER',
    forge(header, claims, input => sign('sha256', Buffer.from(input), privateKeyOf(ours))),
    'malformed',
  ],
  [
    'bits behind the signature',
    `${good.slice(0, -1)}${String.fromCharCode(good.charCodeAt(good.length - 1) + 1)}`,
    'malformed',
  ],
  ['base64 that is not for URLs', `${goodHead}.${goodBody}.${'+'.repeat(85)}A`, 'malformed'],
  ['a letter that looks the same', good.replace('e', '\u0435'), 'malformed'],
  ['a megabyte', `${goodHead}.${'A'.repeat(1 << 20)}.${goodSignature}`, 'malformed'],
  ['a megabyte that is signed', withClaims({ pad: 'x'.repeat(1 << 20) }), 'malformed'],
  ['JSON instead of a token', JSON.stringify({ header, payload: claims }), 'malformed'],
])('does not take a token with %s', async ([, token, fault]) => {
  await expect(tokens.verify(token)).rejects.toMatchObject({ name: 'InvalidToken', fault })
})

it('takes nothing that another registry has signed with the same names', async () => {
  const other = tokensOf(firstRing(nowMs))
  const { token } = await other.issue({ subject: { kind: 'anonymous' }, access: [] })
  await expect(tokens.verify(token)).rejects.toMatchObject({ fault: 'unknown-key' })
})

it('takes nothing that the same key has signed for another registry', async () => {
  const elsewhere = tokensOf(ring, { issuer: 'https://reg2.acme.dev', service })
  const forOthers = tokensOf(ring, { issuer, service: 'reg2.acme.dev' })
  for (const { issue } of [elsewhere, forOthers]) {
    const { token } = await issue({ subject: { kind: 'anonymous' }, access: [] })
    await expect(tokens.verify(token)).rejects.toMatchObject({ fault: 'claims' })
  }
})

it('says nothing of the token in what it throws', async () => {
  const error: unknown = await tokens
    .verify(`${goodHead}.${goodBody}.${'A'.repeat(86)}`)
    .catch(thrown => thrown)
  expect(String(error)).toBe('InvalidToken: token was not accepted: signature')
})
