/** What is kept of people, machines and rules: plain data, read and replaced as a whole. */
import type { PrincipalName } from './access.ts'

export interface StoredUser {
  readonly name: PrincipalName
  /** In PHC form; absent for who signs in with tokens only. */
  readonly password?: string
  /**
   * Differs for each password that a user of this name has had, users before this one included: what an earlier one
   * proved ends with it. So it is drawn, not counted.
   */
  readonly serial: number
  readonly groups: readonly PrincipalName[]
  readonly disabled: boolean
  readonly createdMs: number
}

export interface StoredRobot {
  readonly name: PrincipalName
  readonly createdMs: number
}

/** The secret of a machine, or of a user's machine. Its text is shown once and not kept. */
export interface StoredToken {
  readonly id: string
  /** As `wordOf` spells it: `user:alice`, `robot:ci`. */
  readonly owner: string
  /**
   * Of a user of the password file: names the line (htpasswdCredential). There is nobody to say when such a user is gone,
   * so the token ends with the line, and a later user of the name does not inherit it.
   */
  readonly line?: string
  readonly sha256: string
  /** Lines of a ceiling; absent where the owner's rights are the only limit. */
  readonly ceiling?: readonly string[]
  readonly createdMs: number
  readonly expiresMs?: number
  readonly revokedMs?: number
}

export interface StoredRule {
  readonly id: string
  readonly rule: string
  readonly until?: string
  readonly note?: string
  readonly createdMs: number
}

export interface StoredProtection {
  readonly id: string
  readonly protection: string
  readonly createdMs: number
}

export interface AccessState {
  readonly users: readonly StoredUser[]
  readonly robots: readonly StoredRobot[]
  readonly tokens: readonly StoredToken[]
  readonly rules: readonly StoredRule[]
  readonly protections: readonly StoredProtection[]
}

export const emptyState: AccessState = { users: [], robots: [], tokens: [], rules: [], protections: [] }
