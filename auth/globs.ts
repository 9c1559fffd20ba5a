/**
 * Patterns of repository names, by segment: `*` is any characters within a segment, `**` one or more whole segments,
 * `{user}` a segment that is the caller's own name. And patterns of single words, in which only `*` means anything.
 */
import { parseRepositoryName } from '../oci/names.ts'
import { GrammarError } from './errors.ts'

export interface Glob {
  readonly text: string
  /** Whether it holds `{user}`: then it matches for users only, each for its own name. */
  readonly isPersonal: boolean
  matches(name: string, user?: string): boolean
  /** How every name begins that it matches. */
  beginning(user?: string): string
}

/** The pattern that every name matches. */
export const everything = '**'

const maxLength = 255
const maxSegments = 32

/** Throws a GrammarError; its position counts from the pattern's beginning. */
export function parseGlob(text: string): Glob {
  if (text.length > maxLength) throw new GrammarError(`a pattern has at most ${maxLength} characters`)
  const parts = text.split('/')
  if (parts.length > maxSegments) throw new GrammarError(`a pattern has at most ${maxSegments} segments`)
  let position = 1
  for (const part of parts) {
    refuseOddSegment(part, position)
    position += part.length + 1
  }
  const [plain = ''] = text.split('*', 1)
  return {
    text,
    isPersonal: parts.includes('{user}'),
    matches: compile(text, parts),
    beginning: user =>
      user === undefined ? plain.replace(/\{user\}.*/, '') : plain.replaceAll('{user}', () => user),
  }
}

/** A pattern of a word that has no segments: `*` is any characters, none included. All else stands for itself. */
export function wordGlob(pattern: string): (word: string) => boolean {
  if (!pattern.includes('*')) return word => word === pattern
  return word => starMatch(pattern, word, isStar, isSame)
}

const isStar = (character: string) => character === '*'
const isSame = (expected: string, found: string) => expected === found

function refuseOddSegment(part: string, position: number): void {
  if (part === '**' || part === '{user}') return
  if (part === '') throw new GrammarError('a pattern has no empty segments', position)
  const fault = (what: string, at: number) => new GrammarError(what, position + Math.max(at, 0))
  if (part.includes('**'))
    throw fault('** stands for whole segments: write it between slashes', part.indexOf('**'))
  if (part.includes('{user}')) throw fault('{user} stands for a whole segment: write it between slashes', 0)
  const odd = part.search(/[^a-z0-9._*-]/)
  if (odd >= 0)
    throw fault(
      `unexpected ${JSON.stringify(part[odd])} in a pattern: expected lower-case letters, digits, . _ - * ** or {user}`,
      odd,
    )
  if (part.includes('*')) return
  try {
    parseRepositoryName(part)
  } catch (cause) {
    throw new GrammarError(`no repository can have the segment ${JSON.stringify(part)}`, position, { cause })
  }
}

/** Most patterns in use are a name, everything, or everything below a name: these take no splitting. */
function compile(text: string, parts: readonly string[]): Glob['matches'] {
  const wild = parts.findIndex(part => part.includes('*') || part === '{user}')
  if (wild < 0) return name => name === text
  const prefix = parts
    .slice(0, wild)
    .map(part => `${part}/`)
    .join('')
  if (wild === parts.length - 1 && parts[wild] === '**')
    // No name ends with a slash, so something follows the prefix.
    return name => name.startsWith(prefix)
  const elements = parts.slice(wild).flatMap(elementsOf)
  return (name, user) =>
    name.startsWith(prefix) &&
    starMatch(elements, name.slice(prefix.length).split('/'), isMany, (element, segment) =>
      element(segment, user),
    )
}

type Element = (segment: string, user: string | undefined) => boolean

/** Any number of segments, none included; what `starMatch` takes for its star is never called. */
const many: Element = () => true
const one: Element = () => true
const own: Element = (segment, user) => segment === user
const isMany = (element: Element) => element === many

function elementsOf(part: string): readonly Element[] {
  if (part === '**') return [one, many]
  return part === '{user}' ? [own] : [wordGlob(part)]
}

/**
 * A star that fails is tried again one place further, and never an earlier star: the later one can stand for all that
 * the earlier could. So the work is bounded by the product of the two lengths, whatever the pattern is.
 */
function starMatch<Expected, Found>(
  pattern: ArrayLike<Expected>,
  items: ArrayLike<Found>,
  isStar: (expected: Expected) => boolean,
  fits: (expected: Expected, found: Found) => boolean,
): boolean {
  let expected = 0
  let found = 0
  let afterStar = -1
  let retryAt = 0
  while (found < items.length) {
    // Both indices are below their lengths where they are read: TypeScript cannot see that of ArrayLike.
    const hasMore = expected < pattern.length
    if (hasMore && isStar(pattern[expected] as Expected)) {
      afterStar = ++expected
      retryAt = found
    } else if (hasMore && fits(pattern[expected] as Expected, items[found] as Found)) {
      expected++
      found++
    } else if (afterStar >= 0) {
      expected = afterStar
      found = ++retryAt
    } else return false
  }
  while (expected < pattern.length && isStar(pattern[expected] as Expected)) expected++
  return expected === pattern.length
}
