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
import { counters } from './counters.ts'
import { networkOf } from './networks.ts'

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
  /**
   * The same for a wrong secret of a machine. Nobody guesses one, and to look at it costs little: so it counts against
   * its address alone, and apart from passwords, where it could be sent to make the guesses at them forgotten.
   */
  admitMachine(address: string, secret: string): Admission
}

export interface ThrottleSettings {
  /** ms that never go back: a clock that is set must neither forgive nor lock out. */
  readonly now: () => number
}

const trustMs = 30 * 24 * 3_600_000
const slowAfter = 5
const slowMs = 1_000
/** Different wrong secrets within the window, before more are refused. */
const mostOfPair = 10
const mostOfHost = 100
/** From here on an account answers everybody slowly: that many networks are at it. */
const slowAccountAfter = 50
const slowAccountMs = 2_000

/** Who would push one out needs as many networks within the window. */
const mostProven = 10_000

/** Counters are kept in memory: each process has its own, and a restart forgets them. */
export function throttle({ now }: ThrottleSettings): Throttle {
  // What is kept of a secret must not help to find it: the key dies with the process.
  const key = randomBytes(32)
  const digestOf = (...parts: readonly string[]) =>
    createHmac('sha256', key).update(JSON.stringify(parts)).digest()
  const textOf = (digest: Buffer) => digest.toString('base64url', 0, 16)
  /** Short, as there may be many, and known to nobody: 48 bits are as good as all. */
  const markOf = (digest: Buffer) => digest.readUIntBE(0, 6)

  const pairs = counters(mostOfPair, now)
  const accounts = counters(slowAccountAfter, now)
  const hosts = counters(mostOfHost, now)
  const machines = counters(mostOfHost, now)
  const proven = new LRUCache<string, number>({ max: mostProven })

  function delayFor(account: string, pair: string): number {
    if (accounts.count(account) >= slowAccountAfter) return slowAccountMs
    return pairs.count(pair) >= slowAfter ? slowMs : 0
  }

  return {
    admit({ account: name, address, secret }) {
      const { host, net } = networkOf(address)
      const digest = digestOf(name, secret)
      const mark = markOf(digest)
      // Short, whatever somebody sends for a name.
      const account = textOf(digestOf(name))
      const pair = `${net} ${account}`
      const proof = `${net} ${textOf(digest)}`
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

    admitMachine(address, secret) {
      const { host } = networkOf(address)
      const mark = markOf(digestOf(secret))
      const waitMs = machines.waitMs(host, mark)
      if (waitMs > 0) return refused(waitMs)
      const takeBack = machines.add(host, mark)
      return { kind: 'admitted', delayMs: 0, succeeded: takeBack, abandoned: takeBack }
    },
  }
}

const refused = (waitMs: number): Admission => ({
  kind: 'refused',
  retryAfterSeconds: Math.ceil(waitMs / 1_000),
})
