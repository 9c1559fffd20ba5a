/** JSON Web Tokens (RFC 7519), signed and verified by jose. It is loaded with the first of them, which no start waits for. */
import type { KeyObject } from 'node:crypto'
import type { JSONWebKeySet, JWTPayload, JWTVerifyGetKey, JWTVerifyOptions } from 'jose'
import { InvalidToken, type TokenFault } from './errors.ts'

/** Public keys of an issuer (RFC 7517, 5). */
export interface KeySet {
  readonly keys: readonly object[]
}

export type Claims = JWTPayload

export interface TokenHeader {
  readonly alg: 'ES256'
  readonly typ: 'JWT'
  readonly kid: string
}

const load = () => import('jose')
type Jose = Awaited<ReturnType<typeof load>>

export async function signJwt(claims: Claims, header: TokenHeader, key: KeyObject): Promise<string> {
  const { SignJWT } = await load()
  return new SignJWT(claims).setProtectedHeader({ ...header }).sign(key)
}

/** What a token says whose signature is by this key, or by the one of these keys that it names. Throws InvalidToken. */
export async function verifyJwt(
  token: string,
  key: KeyObject | KeySet,
  options: JWTVerifyOptions,
): Promise<Claims> {
  const jose = await load()
  try {
    const verified =
      'keys' in key
        ? jose.jwtVerify(token, chooserOf(jose, key), options)
        : jose.jwtVerify(token, key, options)
    return (await verified).payload
  } catch (error) {
    throw new InvalidToken(faultOf(jose, error), { cause: error })
  }
}

const choosers = new WeakMap<KeySet, JWTVerifyGetKey>()

function chooserOf({ createLocalJWKSet }: Jose, set: KeySet): JWTVerifyGetKey {
  // jose looks at each key before it uses it, and changes none.
  const made = choosers.get(set) ?? createLocalJWKSet({ keys: [...set.keys] as JSONWebKeySet['keys'] })
  choosers.set(set, made)
  return made
}

function faultOf({ errors }: Jose, error: unknown): TokenFault {
  if (error instanceof errors.JWKSNoMatchingKey) return 'unknown-key'
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'signature'
  if (error instanceof errors.JWTExpired) return 'expired'
  return error instanceof errors.JWTClaimValidationFailed ? 'claims' : 'malformed'
}

/** The header of a token, or what it claims, before anything is known of it; undefined where that is no JSON object. */
export function unverifiedPart(
  token: string,
  part: 'header' | 'claims',
): Readonly<Record<string, unknown>> | undefined {
  const text = token.split('.', 2)[part === 'header' ? 0 : 1] ?? ''
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}
