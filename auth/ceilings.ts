/**
 * The ceiling of an API token: at most these levels, whatever its owner may do. It narrows and never grants:
 *
 *   line = level SP pattern     push team-a/**
 */
import type { RepositoryName } from '../oci/names.ts'
import { type AccessPolicy, type Level, levels } from './access.ts'
import { GrammarError } from './errors.ts'
import { everything, type Glob } from './globs.ts'
import { globAt, wordsOf } from './rules.ts'

export interface CeilingLine {
  /** The line as it was written, with a single space. */
  readonly text: string
  readonly level: Level
  readonly repositories: Glob
}

const form = 'expected LEVEL PATTERN, such as: push team-a/**'

/** Throws a GrammarError that says where and what is accepted. */
export function parseCeilingLine(line: string): CeilingLine {
  const [level, pattern, extra] = wordsOf(line)
  if (!level || !pattern) throw new GrammarError(`a ceiling is incomplete: ${form}`, line.length + 1)
  const known = levels.find(each => each === level.text)
  if (!known)
    throw new GrammarError(
      `unknown level ${JSON.stringify(level.text)}: expected ${levels.join(', ')}`,
      level.position,
    )
  if (extra) throw new GrammarError(`a ceiling is for its token alone: ${form}`, extra.position)
  const repositories = globAt(pattern)
  if (repositories.isPersonal)
    throw new GrammarError('a ceiling has one owner: write the name instead of {user}', pattern.position)
  return { text: `${level.text} ${pattern.text}`, level: known, repositories }
}

/** The policy for who uses a token with this ceiling. Without a line it permits nothing. */
export function underCeiling(policy: AccessPolicy, ceiling: readonly CeilingLine[]): AccessPolicy {
  const covers = (needed: Level, name: RepositoryName) =>
    ceiling.some(
      ({ level, repositories }) =>
        levels.indexOf(level) >= levels.indexOf(needed) && repositories.matches(name),
    )
  return {
    permits: (principal, level, name) => covers(level, name) && policy.permits(principal, level, name),
    permitsEverywhere: (principal, level) =>
      ceiling.some(
        each => each.repositories.text === everything && levels.indexOf(each.level) >= levels.indexOf(level),
      ) && policy.permitsEverywhere(principal, level),
    // Either is enough: what can be reached begins with one of each.
    reach: () => ceiling.map(({ repositories }) => repositories.beginning()),
  }
}
