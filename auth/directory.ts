/**
 * Who there is and what they may do, at this moment: the configuration's part and the stored part as one. Whoever
 * asks for a view for each request notices at the next one that a user, a token or a rule is gone.
 */
import type { Io } from '../oci/io.ts'
import { type AccessPolicy, type Identity, type Principal, type PrincipalName, wordOf } from './access.ts'
import { parseCeilingLine, underCeiling } from './ceilings.ts'
import { firstRing, type KeyRing } from './keys.ts'
import { type Policy, policyOf } from './policy.ts'
import { type Protection, parseProtection } from './protections.ts'
import { demandAccessState } from './record-shapes.ts'
import { parseRule, type Rule } from './rules.ts'
import { type AccessState, emptyState, type StoredToken, type StoredUser } from './state.ts'

/** What the configuration says of access. Another object when it has changed. */
export interface AccessSettings {
  readonly groups: ReadonlyMap<PrincipalName, readonly PrincipalName[]>
  readonly rules: readonly Rule[]
  readonly protections: readonly Protection[]
  /** Users of a password file, with their bcrypt hashes. */
  readonly htpasswd: ReadonlyMap<PrincipalName, string>
  /** Each with what its tokens must say, as a text: what was proved by other words ends when these change. */
  readonly workloads: ReadonlyMap<PrincipalName, string>
  /** Other machines can connect: when the last who was known is gone it stays closed. */
  readonly isExposed: boolean
}

/** A document as it was read. The same `value` as long as it has not changed. */
export interface Document<Value> {
  readonly value: Value
  /** What `write` compares. */
  readonly version: string
}

/** Where documents are kept, compared and set as wholes. */
export interface Documents {
  read<Value>(name: DocumentName, io: Io): Promise<Document<Value> | undefined>
  /** False, and nothing is written, when the document is not what it was. Undefined: there must be none. */
  write(name: DocumentName, value: object, version: string | undefined, io: Io): Promise<boolean>
}

export type DocumentName = 'access' | 'keys'

export interface View {
  readonly state: AccessState
  readonly policy: Policy
  /** Those that the policy holds against changes. */
  readonly protections: readonly Protection[]
  /** Nobody is known and no rule is written: whoever can reach the registry may do anything. */
  readonly isOpen: boolean
  /** Undefined for who is not there any more, or disabled. */
  principal(identity: Identity): Principal | undefined
  user(name: PrincipalName): StoredUser | undefined
  /** Users of the password file, with their bcrypt hashes; a stored user of the same name takes precedence. */
  readonly htpasswd: ReadonlyMap<PrincipalName, string>
  /** As in the settings. */
  readonly workloads: AccessSettings['workloads']
  /** Undefined unless it is good now. */
  token(id: string, nowMs: number): StoredToken | undefined
  /** What somebody may do who came with a token. */
  under(token: StoredToken): AccessPolicy
}

export interface Directory {
  view(io: Io): Promise<View>
  /** Replaces the stored part by what `act` makes of it, again when somebody else was faster. Throws what `act` throws. */
  change<Result>(act: (state: AccessState) => Change<Result>, io: Io): Promise<Result>
  /** The keys that sign tokens; made when there are none. */
  keys(io: Io): Promise<KeyRing>
  changeKeys(act: (ring: KeyRing) => KeyRing, io: Io): Promise<KeyRing>
}

export interface Change<Result> {
  readonly state: AccessState
  readonly result: Result
}

export interface DirectorySource {
  readonly documents: Documents
  readonly settings: () => AccessSettings
  readonly now: () => number
}

export function directory({ documents, settings, now }: DirectorySource): Directory {
  let latest:
    | { readonly state: AccessState; readonly settings: AccessSettings; readonly view: View }
    | undefined

  const known = new WeakSet<object>()

  async function stored(io: Io): Promise<Document<AccessState> | undefined> {
    const found = await documents.read<AccessState>('access', io)
    if (!found || known.has(found.value)) return found
    demandAccessState(found.value)
    known.add(found.value)
    return found
  }

  const self: Directory = {
    async view(io) {
      const { value: state } = (await stored(io)) ?? { value: emptyState }
      const configured = settings()
      if (latest?.state === state && latest.settings === configured) return latest.view
      const view = viewOf(state, configured, now)
      latest = { state, settings: configured, view }
      return view
    },

    async change(act, io) {
      for (;;) {
        const before = await stored(io)
        const { state, result } = act(before?.value ?? emptyState)
        if (state === before?.value) return result
        demandAccessState(state)
        if (await documents.write('access', state, before?.version, io)) return result
        io.signal.throwIfAborted()
      }
    },

    async keys(io) {
      const found = await documents.read<KeyRing>('keys', io)
      return found ? found.value : self.changeKeys(ring => ring, io)
    },

    async changeKeys(act, io) {
      for (;;) {
        const before = await documents.read<KeyRing>('keys', io)
        const ring = act(before?.value ?? firstRing(now()))
        if (ring === before?.value || (await documents.write('keys', ring, before?.version, io))) return ring
        io.signal.throwIfAborted()
      }
    },
  }
  return self
}

function viewOf(state: AccessState, settings: AccessSettings, now: () => number): View {
  const { groups, htpasswd, workloads, isExposed } = settings
  const users = new Map(state.users.map(user => [user.name, user]))
  const robots = new Set(state.robots.map(({ name }) => name))
  const tokens = new Map(state.tokens.map(token => [token.id, token]))
  const rules = [...settings.rules, ...state.rules.map(parseRule)]
  const protections = [
    ...settings.protections,
    ...state.protections.map(({ protection }) => parseProtection(protection)),
  ]
  const policy = policyOf({ rules, protections, now })
  const groupsOf = (name: PrincipalName) => [
    ...(users.get(name)?.groups ?? []),
    ...[...groups].flatMap(([group, members]) => (members.includes(name) ? [group] : [])),
  ]
  const principals = new Map<string, Principal | undefined>()
  const ceilings = new WeakMap<StoredToken, AccessPolicy>()

  function find(identity: Identity): Principal | undefined {
    switch (identity.kind) {
      case 'anonymous':
        return identity
      case 'user': {
        const { name } = identity
        const isThere = users.get(name)?.disabled === false || (!users.has(name) && htpasswd.has(name))
        return isThere ? { kind: 'user', name, groups: groupsOf(name) } : undefined
      }
      case 'robot':
        return robots.has(identity.name) ? { kind: 'robot', name: identity.name } : undefined
      case 'workload':
        return workloads.has(identity.name) ? { kind: 'workload', name: identity.name } : undefined
    }
  }

  return {
    state,
    policy,
    protections,
    isOpen:
      !isExposed &&
      [users, robots, htpasswd].every(({ size }) => size === 0) &&
      rules.length + workloads.size === 0,
    principal(identity) {
      const word = wordOf(identity)
      const known = principals.get(word)
      if (known) return known
      const found = find(identity)
      // Only who is there is remembered: there is no end of those who are not.
      if (found) principals.set(word, found)
      return found
    },
    user: name => users.get(name),
    htpasswd,
    workloads,
    token(id, nowMs) {
      const token = tokens.get(id)
      const isGood =
        token && token.revokedMs === undefined && (token.expiresMs === undefined || nowMs < token.expiresMs)
      return isGood ? token : undefined
    },
    under(token) {
      const known = ceilings.get(token)
      if (known) return known
      const made = token.ceiling ? underCeiling(policy, token.ceiling.map(parseCeilingLine)) : policy
      ceilings.set(token, made)
      return made
    },
  }
}
