/**
 * Files that `htpasswd -B` writes: `name:hash` by the line. The file is the authority: nothing of it is stored anywhere
 * else. Only bcrypt is taken; what else htpasswd can write was broken long ago.
 */
import { createHash } from 'node:crypto'
import { type PrincipalName, parsePrincipalName, principalNameForm } from './access.ts'

/** A file that cannot be used. Says which line, and nothing of what is in it. */
class HtpasswdError extends Error {
  override readonly name = 'HtpasswdError'
  /** Counted from 1. */
  readonly line: number

  constructor(line: number, message: string) {
    super(`line ${line}: ${message}`)
    this.line = line
  }
}

const bcrypt = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/
/** A hash of cost 15 takes seconds of a whole core, for every login. */
const leastCost = 4
const mostCost = 14

/** Users and their bcrypt hashes. Empty lines, and lines that begin with #, say nothing. Throws HtpasswdError. */
export function parseHtpasswd(text: string): ReadonlyMap<PrincipalName, string> {
  const users = new Map<PrincipalName, string>()
  for (const [index, row] of text.split('\n').entries()) {
    const content = row.trim()
    if (content === '' || content.startsWith('#')) continue
    const line = index + 1
    const colon = content.indexOf(':')
    if (colon < 0) throw new HtpasswdError(line, 'expected NAME:HASH')
    const name = parsePrincipalName(content.slice(0, colon))
    if (name === undefined) throw new HtpasswdError(line, `expected a name of ${principalNameForm}`)
    if (users.has(name)) throw new HtpasswdError(line, 'this user has a line already: remove one of them')
    const hash = content.slice(colon + 1)
    refuseOddHash(hash, line)
    users.set(name, hash)
  }
  return users
}

/**
 * The hash that is compared for a name that has none, so that the time does not tell that. Hashes of one file may differ
 * in cost: each name has one of them, always the same one, as it would have if it were there.
 */
export function standInFor(username: string, users: ReadonlyMap<PrincipalName, string>): string | undefined {
  const hashes = [...users.values()]
  const at = createHash('sha256').update(username).digest().readUInt32BE() % Math.max(1, hashes.length)
  return hashes[at]
}

function refuseOddHash(hash: string, line: number): void {
  const [, cost] = bcrypt.exec(hash) ?? []
  if (cost === undefined)
    throw new HtpasswdError(line, `expected a bcrypt hash, found ${formOf(hash)}: write it with htpasswd -B`)
  if (Number(cost) < leastCost || Number(cost) > mostCost)
    throw new HtpasswdError(
      line,
      `expected a bcrypt cost from ${leastCost} to ${mostCost}, found ${Number(cost)}`,
    )
}

function formOf(hash: string): string {
  if (hash.startsWith('$2')) return 'one that is damaged'
  if (hash.startsWith('$apr1$') || hash.startsWith('$1$')) return 'MD5'
  if (hash.startsWith('{SHA}')) return 'SHA-1'
  if (hash.startsWith('$5$') || hash.startsWith('$6$')) return 'SHA-crypt'
  return 'crypt or a plain password'
}
