/** People, machines and rules of a registry, put where the registry looks for them. */
import { argon2Sync } from 'node:crypto'
import { directory } from '../../auth/directory.ts'
import { InvalidToken } from '../../auth/errors.ts'
import { makeSecret } from '../../auth/secrets.ts'
import type { AccessState, StoredToken, StoredUser } from '../../auth/state.ts'
import { registryTokens, type Tokens } from '../../auth/tokens.ts'
import type { WorkloadVerifier } from '../../auth/workloads.ts'
import { noAccessSettings } from '../../server/access-control.ts'
import { accessDocuments } from '../../server/access-documents.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { canary, secret } from './canaries.ts'
import { name } from './principals.ts'
import { io } from './waiting.ts'

export const password = canary('correct horse battery staple')

/** With parameters that cost nothing: what it takes to hash well is tested elsewhere. */
const cheaply = (text: string): string => {
  const nonce = Buffer.alloc(16, 7)
  const parameters = { memory: 8, passes: 1, parallelism: 1, nonce, tagLength: 32 }
  const tag = argon2Sync('argon2id', { message: Buffer.from(text), ...parameters })
  const encoded = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '')
  return `$argon2id$v=19$m=8,t=1,p=1$${encoded(nonce)}$${encoded(tag)}`
}
const kept = cheaply(password)

export const storedUser = (text: string, more: Partial<StoredUser> = {}): StoredUser => ({
  name: name(text),
  password: kept,
  serial: 1,
  groups: [],
  disabled: false,
  createdMs: 1,
  ...more,
})

/** An API token: its text, and what is kept of it. */
export function apiToken(owner: string, more: Partial<StoredToken> = {}) {
  const { text, id, sha256 } = makeSecret(owner.startsWith('robot:') ? 'robot' : 'personal')
  return { text, id, stored: { id, owner, sha256, createdMs: 1, ...more } satisfies StoredToken }
}

export const storedRules = (...lines: readonly string[]) =>
  lines.map((rule, at) => ({ id: String(at), rule, createdMs: 1 }))
export const storedProtections = (...lines: readonly string[]) =>
  lines.map((protection, at) => ({ id: String(at), protection, createdMs: 1 }))

const directoryOf = (store: ObjectStore) =>
  directory({ documents: accessDocuments(store), settings: () => noAccessSettings, now: Date.now })

/** Replaces parts of what is stored, as a command does it beside a running registry. */
export function setAccess(store: ObjectStore, change: Partial<AccessState>): Promise<void> {
  return directoryOf(store).change(state => ({ state: { ...state, ...change }, result: undefined }), io)
}

/** Makes tokens as the registry does, for whatever is asked and at any time. */
export async function forge(
  store: ObjectStore,
  { now = Date.now, issuer = 'urn:slipway:test', service = 'slipway' } = {},
): Promise<Tokens> {
  const ring = await directoryOf(store).keys(io)
  return registryTokens({ issuer, service, ring: () => ring, now })
}

/** A platform whose tokens are `workload.NAME.x`. */
export const someWorkloads: WorkloadVerifier = {
  isWorkloadToken: text => text.startsWith('workload.'),
  verify: async text => {
    const [, workload = '', seal] = text.split('.')
    if (seal !== 'x') throw new InvalidToken('signature')
    return { workloads: [name(workload)], subject: undefined, expiresMs: Date.now() + 3_600_000 }
  },
}

export const basic = (username: string, shown: string) =>
  `Basic ${secret(Buffer.from(`${username}:${secret(shown)}`).toString('base64'))}`
export const bearer = (token: string) => `Bearer ${token}`
