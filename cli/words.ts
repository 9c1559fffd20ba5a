/** What words of the command line mean that name somebody, or how much they may do. */
import {
  type Identity,
  type Level,
  levels,
  type PrincipalName,
  parseIdentity,
  parsePrincipalName,
  principalNameForm,
} from '../auth/access.ts'
import { parseDuration } from '../server/units.ts'
import { UsageError } from './usage.ts'

export function nameOf(word: string): PrincipalName {
  const name = parsePrincipalName(word)
  if (name !== undefined) return name
  throw new UsageError(`${quoted(word)} cannot be a name: expected ${principalNameForm}`)
}

export function identityOf(word: string): Identity {
  const identity = parseIdentity(word)
  if (identity) return identity
  const hint = word === 'anyone' ? ': who is not signed in is anonymous' : ''
  throw new UsageError(
    `${quoted(word)} names nobody: expected NAME, robot:NAME, workload:NAME or anonymous${hint}`,
  )
}

export function levelOf(word: string): Level {
  const level = levels.find(each => each === word)
  if (level) return level
  throw new UsageError(`unknown level ${quoted(word)}: expected ${levels.join(', ')}`)
}

/** A moment, or how long ago it was: `2026-11-21`, `2026-11-21T12:00Z`, `24h`. */
export function sinceOf(word: string, nowMs: number): number {
  const ago = parseDuration(word)
  if (ago !== undefined) return nowMs - ago
  const isDate = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?Z)?$/.test(word)
  const ms = isDate ? Date.parse(word) : Number.NaN
  if (Number.isNaN(ms))
    throw new UsageError(`--since: expected 24h, 2026-11-21 or 2026-11-21T12:00Z, found ${quoted(word)}`)
  return ms
}

const quoted = (text: string) => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
