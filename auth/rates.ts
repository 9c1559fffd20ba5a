import { LRUCache } from 'lru-cache'

export interface Rate {
  /** What can be asked for in the long run. */
  readonly perMinute: number
  /** What can be asked for at once after a pause. */
  readonly burst: number
}

/**
 * Counts one request of somebody: 0 when it may go on, otherwise how many seconds to wait. A request that is refused
 * costs nothing, so who waits as long as that is taken.
 */
export type TakeTurn = (who: string) => number

/** Who has asked for nothing for the longest time is forgotten first: it has its whole burst again anyway. */
const mostKnown = 10_000

/** A bucket for each principal or address, which fills by and by (token bucket). `now` is in ms and never goes back. */
export function rateLimit({ perMinute, burst }: Rate, now: () => number): TakeTurn {
  const msEach = 60_000 / perMinute
  // When the bucket is full again: one number says it all.
  const fullAtMs = new LRUCache<string, number>({ max: mostKnown })

  return who => {
    const nowMs = now()
    const nextFullMs = Math.max(fullAtMs.get(who) ?? 0, nowMs) + msEach
    const waitMs = nextFullMs - nowMs - burst * msEach
    if (waitMs > 0) return Math.ceil(waitMs / 1_000)
    fullAtMs.set(who, nextFullMs)
    return 0
  }
}

const hotWithinMs = 10 * 60_000
const hotAfter = 5

interface Asked {
  readonly by: Set<string>
  readonly sinceMs: number
}

/**
 * Whether many have asked about a key of late; asking counts, once for each of them: nobody makes a key hot alone. `now`
 * is as above.
 */
export function hotKeys(now: () => number): (key: string, who: string) => boolean {
  const seen = new LRUCache<string, Asked>({ max: mostKnown })
  return (key, who) => {
    const known = seen.get(key)
    const { by, sinceMs } =
      known && now() - known.sinceMs < hotWithinMs ? known : { by: new Set<string>(), sinceMs: now() }
    if (by.size <= hotAfter) by.add(who)
    seen.set(key, { by, sinceMs })
    return by.size > hotAfter
  }
}

/** What is told again after this time: clients log in all day. */
const toldWithinMs = 10 * 60_000

/** Whether the same was told a while ago; asking tells. */
export function repeats(): (what: string) => boolean {
  const told = new LRUCache<string, true>({ max: mostKnown, ttl: toldWithinMs })
  return what => {
    if (told.has(what)) return true
    told.set(what, true)
    return false
  }
}
