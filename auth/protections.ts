/**
 * Protections bind everybody, administrators too: who wants the change removes the protection first, and that is in
 * the audit.
 *
 *   protection = kind SP pattern [ ":" tags ]     immutable prod/**:v*
 *
 * Without tags a protection is for all of a repository.
 */
import type { RepositoryName, Tag } from '../oci/names.ts'
import { GrammarError } from './errors.ts'
import { type Glob, wordGlob } from './globs.ts'
import { globAt, wordsOf } from './rules.ts'

/** What somebody is about to do, as far as a protection can be against it. */
export type Change =
  | { readonly kind: 'create-tag' | 'move-tag' | 'delete-tag'; readonly tag: Tag }
  /** Anything that adds to a repository without touching a tag. */
  | { readonly kind: 'write' }
  /** A manifest takes its tags with it: ask for those as well. */
  | { readonly kind: 'delete-manifest' | 'delete-blob' }

/**
 * What each kind refuses. What is immutable cannot be deleted either: it could be made again, with other content. A
 * tag that may not be deleted may be moved.
 */
const refusals = {
  immutable: ['move-tag', 'delete-tag'],
  'no-delete': ['delete-tag', 'delete-manifest', 'delete-blob'],
  frozen: ['create-tag', 'move-tag', 'delete-tag', 'write', 'delete-manifest', 'delete-blob'],
} as const satisfies Record<string, readonly Change['kind'][]>

export type ProtectionKind = keyof typeof refusals

export interface Protection {
  /** The line as it was written, with a single space. */
  readonly text: string
  readonly kind: ProtectionKind
  readonly repositories: Glob
  /** Absent where all of the repository is meant. */
  readonly tags?: { readonly text: string; matches(tag: string): boolean }
}

const kinds = Object.keys(refusals)
const form = 'expected KIND PATTERN[:TAGS], such as: immutable prod/**:v*'

/** Throws a GrammarError that says where and what is accepted. */
export function parseProtection(line: string): Protection {
  const [kind, target, extra] = wordsOf(line)
  if (!kind) throw new GrammarError(`a protection is empty: ${form}`)
  if (!isKind(kind.text))
    throw new GrammarError(
      `unknown protection ${JSON.stringify(kind.text)}: expected ${kinds.join(', ')}`,
      kind.position,
    )
  if (!target) throw new GrammarError(`a protection names no repositories: ${form}`, line.length + 1)
  if (extra)
    throw new GrammarError('a protection binds everybody: nothing follows its pattern', extra.position)
  const colon = target.text.indexOf(':')
  const repositories = globAt(colon < 0 ? target : { ...target, text: target.text.slice(0, colon) })
  if (repositories.isPersonal)
    throw new GrammarError('a protection binds everybody: {user} has no meaning in it', target.position)
  const text = `${kind.text} ${target.text}`
  if (colon < 0) return { text, kind: kind.text, repositories }
  const tags = target.text.slice(colon + 1)
  refuseOddTags(tags, target.position + colon + 1)
  return { text, kind: kind.text, repositories, tags: { text: tags, matches: wordGlob(tags) } }
}

/** The first protection that is against a change, to be named in the refusal. */
export function protectionAgainst(
  protections: readonly Protection[],
  change: Change,
  name: RepositoryName,
): Protection | undefined {
  return protections.find(({ kind, repositories, tags }) => {
    const refused: readonly Change['kind'][] = refusals[kind]
    if (!refused.includes(change.kind) || !repositories.matches(name)) return false
    return tags === undefined || ('tag' in change && tags.matches(change.tag))
  })
}

const isKind = (text: string): text is ProtectionKind => Object.hasOwn(refusals, text)

function refuseOddTags(tags: string, position: number): void {
  if (tags.includes('**')) throw new GrammarError('tags have no segments: write a single *', position)
  const odd = tags.search(/[^A-Za-z0-9._*-]/)
  if (tags !== '' && odd < 0) return
  throw new GrammarError(
    'tags are letters, digits, . _ - and *, at least one of them',
    position + Math.max(odd, 0),
  )
}
