import { LRUCache } from 'lru-cache'
import type { Io } from '../oci/io.ts'

export interface AskOnceOptions {
  /** How many answers are remembered, and for how long. */
  readonly max: number
  readonly ttl: number
}

/** Finds the answer to a question, unless it is known already or somebody is finding it. Rejects as `find` does. */
export type AskOnce<Answer extends object> = (
  question: string,
  find: () => Promise<Answer>,
  io: Io,
) => Promise<Answer>

/** For what is costly to find, so that who asks the same again and again costs nothing. Failures are not remembered. */
export function askOnce<Answer extends object>(options: AskOnceOptions): AskOnce<Answer> {
  const answers = new LRUCache<string, Answer>(options)
  const underWay = new Map<string, Promise<Answer>>()

  return async (question, find, { signal }) => {
    for (;;) {
      const known = answers.get(question)
      if (known) return known
      const finding = underWay.get(question)
      if (!finding) break
      // Who is finding it may go away: then the next one does it.
      await finding.catch(() => {})
      signal.throwIfAborted()
    }
    const finding = find()
    underWay.set(question, finding)
    try {
      const answer = await finding
      answers.set(question, answer)
      return answer
    } finally {
      underWay.delete(question)
    }
  }
}
