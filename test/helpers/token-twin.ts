/** Tokens of the registry's, as their holders have them. */
import { parseIdentity } from '../../auth/access.ts'
import { type Access, parseAccess } from '../../auth/scopes.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { forge } from './access.ts'

/** What a token says, of what tests ask. */
interface Said {
  readonly iss: string
  readonly aud: string
  readonly sub: string
  readonly cid: string
  readonly access: readonly Access[]
}

const part = (token: string, at: number): unknown =>
  JSON.parse(Buffer.from(token.split('.')[at] ?? '', 'base64url').toString())

/** The token in a header; undefined where there is none. */
export const tokenIn = (authorization: string | undefined) => /^Bearer (.+)$/.exec(authorization ?? '')?.[1]

/** Which key has signed the token in a header. */
export function kidIn(authorization: string | undefined): string | undefined {
  const token = tokenIn(authorization)
  return token === undefined ? undefined : (part(token, 0) as { kid: string }).kid
}

/** The token that the registry would have made for the same instead, so long ago. */
export async function agedTwin(store: ObjectStore, token: string, ageMs: number): Promise<string> {
  const { iss, aud, sub, cid, access } = part(token, 1) as Said
  const [subject, granted] = [parseIdentity(sub), parseAccess(access)]
  if (!subject || !granted) throw new Error(`no token of somebody: ${sub}`)
  const tokens = await forge(store, { now: () => Date.now() - ageMs, issuer: iss, service: aud })
  return (await tokens.issue({ subject, access: granted, credential: cid })).token
}
