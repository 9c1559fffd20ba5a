/** The files that settings name, read and checked in one place, so that all workers go by the same bytes. */
import { readFileSync } from 'node:fs'
import { parseHtpasswd } from '../auth/htpasswd.ts'
import type { KeySet } from '../auth/jwt.ts'
import { type Certificate, inspectCertificate } from './certificate.ts'
import type { LoadedSettings, Settings } from './config.ts'
import { whyUnreadable } from './config-file.ts'

/** What the files hold. It can be sent to another process. */
export interface NamedFiles {
  readonly certificate: Certificate | undefined
  /** The text of the password file, which parseHtpasswd takes. */
  readonly htpasswd: string | undefined
  /** By the path that the settings have. */
  readonly keySets: Readonly<Record<string, KeySet>>
  /** The secret of storage.s3.access_key_id. */
  readonly s3Secret?: string | undefined
}

export interface ReadFiles {
  readonly files: NamedFiles
  readonly faults: readonly FileFault[]
  readonly warnings: readonly string[]
}

export interface FileFault {
  readonly setting: string
  /** With the place and the name of the setting. */
  readonly line: string
}

type Loaded = Pick<LoadedSettings, 'settings' | 'sources'>

export function namedPaths({ tls, login, workloads }: Settings): readonly string[] {
  const keySets = Object.values(workloads).map(({ jwksFile }) => jwksFile)
  return [tls.cert, tls.key, login.htpasswd, ...keySets].filter(path => path !== undefined)
}

/** A file that cannot be used is one of `before` still; the others are as they are now. */
export function readNamedFiles(
  { settings, sources }: Loaded,
  { before, nowMs }: { readonly before: NamedFiles | undefined; readonly nowMs: number },
): ReadFiles {
  const faults: FileFault[] = []
  const warnings: string[] = []
  const line = (name: string, text: string) =>
    `${sources.get(name) ?? sources.get(name.split('.')[0] ?? '') ?? 'default'}: ${name}: ${text}`

  const refuse = (setting: string, text: string) => void faults.push({ setting, line: line(setting, text) })

  /** Undefined when there is a fault, which has been noted. */
  function read<Value>(name: string, path: string, parse: (text: string) => Value): Value | undefined {
    try {
      return parse(readFileSync(path, 'utf8'))
    } catch (error) {
      const reason = whyUnreadable(error)
      const message = error instanceof Error ? error.message : String(error)
      refuse(name, `${path}: ${reason === undefined ? message : `cannot be read: ${reason}`}`)
      return undefined
    }
  }

  function readCertificate(): Certificate | undefined {
    const { cert: certPath, key: keyPath } = settings.tls
    if (certPath === undefined || keyPath === undefined) return undefined
    const cert = read('tls.cert', certPath, text => text)
    const key = read('tls.key', keyPath, text => text)
    if (cert === undefined || key === undefined) return before?.certificate
    const host = settings.url === undefined ? undefined : new URL(settings.url).hostname
    const report = inspectCertificate({ cert, key }, { host, nowMs })
    for (const { of, fault } of report.faults)
      refuse(`tls.${of}`, `${of === 'cert' ? certPath : keyPath}: ${fault}`)
    if (report.faults.length > 0) return before?.certificate
    warnings.push(...report.warnings.map(text => line('tls.cert', `${certPath}: ${text}`)))
    return { cert, key }
  }

  const { htpasswd } = settings.login
  const { secretAccessKeyFile: secret } = settings.storage.s3
  const keySets = Object.entries(settings.workloads).flatMap(([name, { jwksFile: path }]) => {
    if (path === undefined) return []
    const set = read(`workloads.${name}.jwks_file`, path, parseKeySet) ?? before?.keySets[path]
    return set ? [[path, set] as const] : []
  })
  const files = {
    certificate: readCertificate(),
    htpasswd: htpasswd && (read('login.htpasswd', htpasswd, usersIn) ?? before?.htpasswd),
    keySets: Object.fromEntries(keySets),
    s3Secret: secret && (read('storage.s3.secret_access_key_file', secret, lineIn) ?? before?.s3Secret),
  }
  return { files, faults, warnings }
}

/** The text again. A file that lost its users must not make the registry one that knows nobody, which is open. */
function usersIn(text: string): string {
  if (parseHtpasswd(text).size === 0) throw new Error('has no users: write one with htpasswd -B')
  return text
}

/** Editors put a line feed at the end. */
function lineIn(text: string): string {
  const line = text.trim()
  if (line === '' || /\s/.test(line)) throw new Error('expected one line with the secret')
  return line
}

function parseKeySet(text: string): KeySet {
  const set = jsonOf(text)
  const keys = typeof set === 'object' && set !== null && 'keys' in set ? set.keys : undefined
  if (!Array.isArray(keys) || keys.length === 0 || !keys.every(key => typeof key?.kty === 'string'))
    throw new Error('is no JSON Web Key Set: expected {"keys": […]} with at least one key')
  if (keys.some(({ kty, d }) => kty === 'oct' || d !== undefined))
    throw new Error('has a secret key: expected public keys only')
  return { keys }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
