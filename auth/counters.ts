/** Counts different things of each of many, within the last quarter of an hour, in as much memory as is allowed. */
import { LRUCache } from 'lru-cache'

const windowMs = 15 * 60_000

export interface Counters {
  /** How many different marks came within the window. */
  count(of: string): number
  /** Counts a mark unless it counts already; returns what takes it back. */
  add(of: string, mark: number): () => void
  forget(of: string, mark: number): void
  clear(of: string): void
  /** How long it takes until another mark may come; 0 where it may come at once, as one that counts already may. */
  waitMs(of: string, mark: number): number
  /** How many marks are kept in all. */
  kept(): number
}

/** Each costs about 200 bytes, and less than 100 for each of its marks: some megabytes in all. */
const mostCounters = 10_000
/**
 * A guess at a password has cost us a hash before it stays counted: within the window no worker makes as many, so who
 * guesses makes no guess forgotten.
 */
const mostMarks = 40_000

/** Sliding windows over different marks. None holds more than `most`; who has been counted last is forgotten last. */
export function counters(most: number, now: () => number): Counters {
  let kept = 0
  const seen = new LRUCache<string, Map<number, number>>({
    max: mostCounters,
    dispose: marks => {
      kept -= marks.size
    },
  })

  function drop(of: string, marks: Map<number, number>, mark: number): void {
    // What was forgotten as a whole is not counted any more.
    if (marks.delete(mark) && seen.peek(of) === marks) kept--
  }

  /** Marks come in the order of their times, so the old ones are in front. */
  function recent(of: string): Map<number, number> {
    const marks = seen.get(of) ?? new Map<number, number>()
    for (const [mark, atMs] of marks) {
      if (now() - atMs < windowMs) break
      drop(of, marks, mark)
    }
    return marks
  }

  return {
    count: of => recent(of).size,
    add(of, mark) {
      const marks = recent(of)
      if (marks.has(mark)) return () => {}
      if (marks.size >= most) for (const oldest of [...marks.keys()].slice(0, 1)) drop(of, marks, oldest)
      seen.set(of, marks)
      marks.set(mark, now())
      kept++
      while (kept > mostMarks) seen.pop()
      return () => drop(of, marks, mark)
    },
    forget(of, mark) {
      const marks = seen.get(of)
      if (marks) drop(of, marks, mark)
    },
    clear(of) {
      seen.delete(of)
    },
    waitMs(of, mark) {
      const marks = recent(of)
      if (marks.size < most || marks.has(mark)) return 0
      const [oldestMs = 0] = marks.values()
      return Math.max(1, oldestMs + windowMs - now())
    },
    kept: () => kept,
  }
}
