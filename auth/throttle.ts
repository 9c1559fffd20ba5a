/**
 * Guessing secrets is slow, and nobody can shut out somebody else by guessing badly (auth-security 2.7).
 *
 * What counts is how many different wrong secrets were tried: a job that repeats a stale password, or a client that asks
 * twice, counts once. An attempt counts from the moment it is admitted until it proves right, so that many at once are
 * as slow as one after the other. A secret that has proved right from a network goes through from there, whatever others
 * do.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { type Network, networkOf } from './networks.ts'

export interface Attempt {
  /** Whose secret it is said to be; whether there is such an account makes no difference. */
  readonly account: string
  readonly address: string
  readonly secret: string
}

export type Admission =
  | {
      readonly kind: 'admitted'
      /** How long to wait before the secret is looked at. */
      readonly delayMs: number
      /** To be called when the secret was right. */
      succeeded(): void
      /** To be called when the secret was not looked at after all. */
      abandoned(): void
    }
  | { readonly kind: 'refused'; readonly retryAfterSeconds: number }

export interface Throttle {
  /** Asks before a secret is looked at. When neither function of the admission is called, it was wrong. */
  admit(attempt: Attempt): Admission
  /** The same for a text that cannot be anybody's secret: it counts against its address alone. */
  admitMalformed(address: string): Admission
}

export interface ThrottleSettings {
  /** ms that never go back: a clock that is set must neither forgive nor lock out. */
  readonly now: () => number
}

const windowMs = 15 * 60_000
const trustMs = 30 * 24 * 3_600_000
const slowAfter = 5
const slowMs = 1_000
/** Different wrong secrets within the window, before more are refused. */
const mostOfPair = 10
const mostOfHost = 100
/** From here on an account answers everybody slowly: that many networks are at it. */
const slowAccountAfter = 50
const slowAccountMs = 2_000

/** Of each kind of counter; who would push one out needs as many networks or accounts within the window. */
const mostCounters = 10_000

/** Counters are kept in memory: each process has its own, and a restart forgets them. */
export function throttle({ now }: ThrottleSettings): Throttle {
  // What is kept of a secret must not help to find it: the key dies with the process.
  const key = randomBytes(32)
  const markOf = (...parts: readonly string[]) =>
    createHmac('sha256', key).update(JSON.stringify(parts)).digest('base64url').slice(0, 22)

  const pairs = counters(mostOfPair, now)
  const accounts = counters(slowAccountAfter, now)
  const hosts = counters(mostOfHost, now)
  const proven = new LRUCache<string, number>({ max: mostCounters })

  function delayFor(account: string, pair: string): number {
    if (accounts.count(account) >= slowAccountAfter) return slowAccountMs
    return pairs.count(pair) >= slowAfter ? slowMs : 0
  }

  return {
    admit({ account: name, address, secret }) {
      const { host, net } = networkOf(address)
      const mark = markOf(name, secret)
      // Marks are short, whatever somebody sends for a name.
      const account = markOf(name)
      const pair = `${net} ${account}`
      const proof = `${net} ${mark}`
      const prove = () => {
        pairs.clear(pair)
        accounts.forget(account, mark)
        hosts.forget(host, mark)
        proven.set(proof, now())
      }
      const provedMs = proven.get(proof)
      if (provedMs !== undefined && now() - provedMs < trustMs)
        return { kind: 'admitted', delayMs: 0, succeeded: prove, abandoned: () => {} }

      const waitMs = Math.max(hosts.waitMs(host, mark), pairs.waitMs(pair, mark))
      if (waitMs > 0) return refused(waitMs)
      const delayMs = delayFor(account, pair)
      const added = [pairs.add(pair, mark), accounts.add(account, mark), hosts.add(host, mark)]
      return {
        kind: 'admitted',
        delayMs,
        succeeded: prove,
        abandoned: () => {
          for (const takeBack of added) takeBack()
        },
      }
    },

    admitMalformed(address) {
      const { host }: Network = networkOf(address)
      // Each counts, as there is no telling which of them are the same guess.
      const mark = randomBytes(16).toString('base64url')
      const waitMs = hosts.waitMs(host, mark)
      if (waitMs > 0) return refused(waitMs)
      const takeBack = hosts.add(host, mark)
      return { kind: 'admitted', delayMs: 0, succeeded: takeBack, abandoned: takeBack }
    },
  }
}

const refused = (waitMs: number): Admission => ({
  kind: 'refused',
  retryAfterSeconds: Math.ceil(waitMs / 1_000),
})

interface Counters {
  /** How many different marks came within the window. */
  count(of: string): number
  /** Counts a mark unless it counts already; returns what takes it back. */
  add(of: string, mark: string): () => void
  forget(of: string, mark: string): void
  clear(of: string): void
  /** How long it takes until another mark may come; 0 where it may come at once, as one that counts already may. */
  waitMs(of: string, mark: string): number
}

/** Sliding windows over different marks. None holds more than `most`. */
function counters(most: number, now: () => number): Counters {
  const seen = new LRUCache<string, Map<string, number>>({ max: mostCounters })

  /** Marks come in the order of their times, so the old ones are in front. */
  function recent(of: string): Map<string, number> {
    const marks = seen.get(of) ?? new Map<string, number>()
    for (const [mark, atMs] of marks) {
      if (now() - atMs < windowMs) break
      marks.delete(mark)
    }
    return marks
  }

  return {
    count: of => recent(of).size,
    add(of, mark) {
      const marks = recent(of)
      if (marks.has(mark)) return () => {}
      if (marks.size >= most) for (const oldest of [...marks.keys()].slice(0, 1)) marks.delete(oldest)
      marks.set(mark, now())
      seen.set(of, marks)
      return () => {
        marks.delete(mark)
      }
    },
    forget(of, mark) {
      seen.get(of)?.delete(mark)
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
  }
}
