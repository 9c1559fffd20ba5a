import { nearest } from '../server/nearest.ts'

/** The command was used in a way it does not have. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** What to say about a word that is none of those that are known. */
export function unknownWord(kind: 'command' | 'option', word: string, known: readonly string[]): UsageError {
  const near = nearest(word, known)
  const hint = near === undefined ? `there are: ${known.join(', ')}` : `did you mean ${near}?`
  return new UsageError(`unknown ${kind} ${word}: ${hint}`)
}
