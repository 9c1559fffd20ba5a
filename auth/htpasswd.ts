/**
 * Files that `htpasswd -B` writes: `name:hash` by the line. The file is the authority: nothing of it is stored anywhere
 * else. Only bcrypt is taken; what else htpasswd can write was broken long ago.
 */
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
