/** What somebody has proved, in a form that can be kept and asked again whether it still stands. */
import { createHash } from 'node:crypto'
import { type AccessPolicy, type Identity, type Principal, type PrincipalName, wordOf } from './access.ts'
import type { View } from './directory.ts'
import type { StoredToken } from './state.ts'

export interface Proof {
  readonly identity: Identity
  /** Names what was shown: by it what is issued for the proof ends with it. */
  readonly credential: string
  /** ms since the epoch; absent where only its removal ends it. */
  readonly expiresMs?: number | undefined
}

export const passwordCredential = (name: PrincipalName, serial: number) => `password:${name}:${serial}`
export const htpasswdCredential = (name: PrincipalName, hash: string) => `htpasswd:${name}:${markOf(hash)}`
export const tokenCredential = (id: string) => `token:${id}`
/** `terms`: what its tokens had to say. */
export const workloadCredential = (name: PrincipalName, terms: string) => `workload:${name}:${markOf(terms)}`

const markOf = (text: string) => createHash('sha256').update(text).digest('base64url').slice(0, 16)

export interface Standing {
  readonly principal: Principal
  /** Asks for this principal alone, with the ceiling of what was shown. */
  readonly policy: AccessPolicy
}

/** Undefined when the proof is worth nothing any more: its owner is gone or disabled, or what was shown is. */
export function standingOf(
  { identity, credential, expiresMs }: Proof,
  view: View,
  nowMs: number,
): Standing | undefined {
  const principal = view.principal(identity)
  if (!principal || (expiresMs !== undefined && nowMs >= expiresMs)) return undefined
  const token = tokenOf(credential, identity, view, nowMs)
  if (token) return { principal, policy: view.under(token) }
  return currentCredentials(identity, view).includes(credential)
    ? { principal, policy: view.policy }
    : undefined
}

function tokenOf(credential: string, owner: Identity, view: View, nowMs: number): StoredToken | undefined {
  if (!credential.startsWith('token:')) return undefined
  const token = view.token(credential.slice('token:'.length), nowMs)
  return token?.owner === wordOf(owner) && isOfLine(token, owner, view) ? token : undefined
}

/** Stored users and robots take their tokens with them; a user of the password file goes without a word. */
function isOfLine({ line }: StoredToken, owner: Identity, view: View): boolean {
  if (owner.kind !== 'user' || view.user(owner.name)) return true
  return line !== undefined && currentCredentials(owner, view).includes(line)
}

/** Those of an identity, other than tokens, that are good now. */
function currentCredentials(identity: Identity, view: View): readonly string[] {
  switch (identity.kind) {
    case 'user': {
      const user = view.user(identity.name)
      if (user) return user.password === undefined ? [] : [passwordCredential(user.name, user.serial)]
      const hash = view.htpasswd.get(identity.name)
      return hash === undefined ? [] : [htpasswdCredential(identity.name, hash)]
    }
    case 'workload': {
      const terms = view.workloads.get(identity.name)
      return terms === undefined ? [] : [workloadCredential(identity.name, terms)]
    }
    case 'robot':
    case 'anonymous':
      return []
  }
}
