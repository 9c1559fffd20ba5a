/** Who we are to a registry, as `docker login` and its friends have left it in Docker's config.json. */

import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import { ClientError } from './client-error.ts'
import { dockerHub } from './image-reference.ts'

export type Credentials =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** What a token server gave at login instead of keeping the password. */
  | { readonly kind: 'identity'; readonly token: string }

/** Undefined: nobody has logged in there. */
export type CredentialSource = (host: string, io: Io) => Promise<Credentials | undefined>

/** Reads config.json in Docker's folder, and asks the programs that it names. */
export function dockerCredentials(folder: string): CredentialSource {
  const path = join(folder, 'config.json')
  return async (host, io) => {
    const config = await readConfig(path)
    const helper = entryFor(config.credHelpers, host) ?? config.credsStore
    if (typeof helper === 'string' && helper !== '') {
      const found = await askHelper(helper, host, path, io)
      if (found) return found
    }
    return storedIn(entryFor(config.auths, host))
  }
}

interface DockerConfig {
  readonly auths?: unknown
  readonly credHelpers?: unknown
  readonly credsStore?: unknown
}

async function readConfig(path: string): Promise<DockerConfig> {
  try {
    const config: unknown = JSON.parse(await readFile(path, 'utf8'))
    return typeof config === 'object' && config !== null ? config : {}
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return {}
    const reason = cause instanceof SyntaxError ? 'it is not JSON' : 'it cannot be read'
    throw new ClientError(`${path}: ${reason}: mend it, or name another folder in DOCKER_CONFIG`, { cause })
  }
}

/** Docker has written hosts in several ways over the years: `host`, `https://host`, `https://host/v1/`. */
function entryFor(entries: unknown, host: string): unknown {
  if (typeof entries !== 'object' || entries === null) return undefined
  const all = Object.entries(entries)
  return (all.find(([key]) => key === host) ?? all.find(([key]) => hostOf(key) === host))?.[1]
}

function hostOf(key: string): string {
  const host = key.replace(/^https?:\/\//, '').split('/', 1)[0] ?? ''
  return ['index.docker.io', 'registry-1.docker.io'].includes(host) ? dockerHub : host
}

function storedIn(entry: unknown): Credentials | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined
  const { auth, username, password, identitytoken } = entry as Record<string, unknown>
  if (typeof identitytoken === 'string' && identitytoken) return { kind: 'identity', token: identitytoken }
  if (typeof username === 'string' && typeof password === 'string' && username)
    return { kind: 'password', username, password }
  if (typeof auth !== 'string') return undefined
  const text = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '')
  const colon = text.indexOf(':')
  return colon > 0
    ? { kind: 'password', username: text.slice(0, colon), password: text.slice(colon + 1) }
    : undefined
}

/** A person may have to unlock a keychain meanwhile. */
const helperMs = 60_000
const maxHelperBytes = 64 * 1024

async function askHelper(name: string, host: string, path: string, io: Io): Promise<Credentials | undefined> {
  if (!/^[A-Za-z0-9][\w.-]*$/.test(name))
    throw new ClientError(`${path}: ${JSON.stringify(name)} is no name of a credential helper`)
  const program = `docker-credential-${name}`
  const { stdout, error } = await runHelper(
    program,
    host === dockerHub ? `https://index.${host}/v1/` : host,
    io,
  )
  if (error) {
    // The protocol has no status for this, only this text.
    if (stdout.includes('credentials not found')) return undefined
    const reason = codeOf(error) === 'ENOENT' ? 'there is no such program' : 'it failed'
    throw new ClientError(`${program}, which ${path} names for ${host}: ${reason}`, { cause: error })
  }
  try {
    const { Username, Secret } = JSON.parse(stdout) as Record<string, unknown>
    if (typeof Username !== 'string' || typeof Secret !== 'string') throw new TypeError('a field is missing')
    if (Username === '<token>') return { kind: 'identity', token: Secret }
    return Username ? { kind: 'password', username: Username, password: Secret } : undefined
  } catch (cause) {
    // Without the cause's text, which may quote the secret.
    throw new ClientError(`${program} answered with no credentials for ${host}`, { cause })
  }
}

function runHelper(program: string, host: string, { signal }: Io) {
  return new Promise<{ readonly stdout: string; readonly error: Error | null }>(resolve => {
    const options = { signal, timeout: helperMs, maxBuffer: maxHelperBytes }
    const child = execFile(program, ['get'], options, (error, stdout) => resolve({ stdout, error }))
    // One that ends before it reads says why by its status.
    child.stdin?.on('error', () => {}).end(host)
  })
}
