/** What one process has of access control: people and rules as they are now, and everything that proves who somebody is. */
import { type Authenticator, authenticator } from '../auth/authenticator.ts'
import {
  type AccessSettings,
  type Directory,
  type Documents,
  directory,
  type View,
} from '../auth/directory.ts'
import { hashingThread } from '../auth/hashing-thread.ts'
import type { KeyRing } from '../auth/keys.ts'
import { passwords } from '../auth/passwords.ts'
import { throttle } from '../auth/throttle.ts'
import { registryTokens, type TokenGrant, type Tokens } from '../auth/tokens.ts'
import { type WorkloadVerifier, workloadVerifier } from '../auth/workloads.ts'
import type { Io } from '../oci/io.ts'

export interface AccessControlParts {
  readonly documents: Documents
  readonly settings: () => AccessSettings
  readonly workloads: () => WorkloadVerifier
  /** The setting; empty where there is none. */
  readonly url: () => string
  readonly registryId: string
}

export interface AccessControl extends Authenticator {
  view(io: Io): Promise<View>
  /** What challenges call us, and tokens are for. */
  service(): string
  issue(grant: TokenGrant, io: Io): ReturnType<Tokens['issue']>
  keys(io: Io): Promise<KeyRing>
  isWorkloadToken(text: string): boolean
  close(): Promise<void>
}

/** For a registry in whose configuration nobody is named. */
export const noAccessSettings: AccessSettings = {
  groups: new Map(),
  rules: [],
  protections: [],
  htpasswd: new Map(),
  workloads: new Map(),
  isExposed: false,
}

export const noWorkloads: WorkloadVerifier = workloadVerifier({
  workloads: [],
  keys: async () => ({ keys: [] }),
  now: Date.now,
})

export function accessControl(parts: AccessControlParts): AccessControl {
  const { documents, settings, workloads, url, registryId } = parts
  const now = Date.now
  const known: Directory = directory({ documents, settings, now })
  const hashing = hashingThread()
  const service = () => (url() === '' ? 'slipway' : new URL(url()).host)
  // Without a url there is no name that stays the same however somebody came here, but there is an id.
  const issuer = () => url() || `urn:slipway:${registryId}`

  let ring: KeyRing | undefined
  let made: { readonly issuer: string; readonly tokens: Tokens } | undefined

  function tokens(): Tokens {
    if (made?.issuer !== issuer())
      made = {
        issuer: issuer(),
        tokens: registryTokens({ issuer: issuer(), service: service(), ring: currentRing, now }),
      }
    return made.tokens
  }

  function currentRing(): KeyRing {
    if (!ring) throw new Error('the signing keys were used before they were read')
    return ring
  }

  const view = onceATurn(io => known.view(io))
  /** The keys are looked at again for each token: one that was revoked elsewhere is revoked here. */
  const readKeys = onceATurn(async io => {
    ring = await known.keys(io)
    return ring
  })

  const { authenticate, authenticateLate } = authenticator({
    tokens,
    workloads,
    passwords: passwords(hashing.argon2id),
    hashing,
    throttle: throttle({ now: () => performance.now() }),
    now,
  })
  const withKeys =
    (ask: Authenticator['authenticate']): Authenticator['authenticate'] =>
    async (credentials, address, view, io) => {
      if (credentials.kind === 'bearer' && !view.isOpen) await readKeys(io)
      return ask(credentials, address, view, io)
    }

  return {
    view,
    authenticate: withKeys(authenticate),
    authenticateLate: withKeys(authenticateLate),
    service,
    async issue(grant, io) {
      await readKeys(io)
      return tokens().issue(grant)
    },
    keys: readKeys,
    isWorkloadToken: text => workloads().isWorkloadToken(text),
    close: () => hashing.close(),
  }
}

/**
 * Reads once for all requests that are taken in one turn of the event loop: they came at the same time. The next turn
 * looks again.
 */
function onceATurn<Value>(read: (io: Io) => Promise<Value>): (io: Io) => Promise<Value> {
  let known: { readonly value: Value } | undefined
  return async io => {
    if (known) return known.value
    const value = await read(io)
    known ??= { value }
    setImmediate(() => {
      known = undefined
    })
    return value
  }
}
