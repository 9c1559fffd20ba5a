import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Io } from '../oci/io.ts'
import { quantile } from './drive.ts'
import { tokenPath } from './guarded.ts'

/** What became of them, by the answers. Only who was told that the password is wrong has had it hashed. */
export interface LoginReport {
  readonly sent: number
  readonly hashed: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** What the others were told. */
  readonly others: string
}

export interface WrongLogins {
  /** While the work is done. */
  during<T>(work: () => Promise<T>, io: Io): Promise<{ readonly result: T; readonly report: LoginReport }>
}

/**
 * Wrong passwords that arrive at a constant rate, whether those before them were answered or not. Each comes from a
 * network of its own and is for a name of its own, which is what a throttle can do least about.
 */
export function wrongLogins(port: number, perSecond: number): WrongLogins {
  let sent = 0

  async function send(enough: AbortSignal, io: Io): Promise<LoginReport> {
    const start = performance.now()
    const answers: Promise<LoginAnswer>[] = []
    while (!enough.aborted) {
      answers.push(tryPassword(port, sent++, io))
      const dueMs = start + (answers.length * 1000) / perSecond
      await sleep(Math.max(0, dueMs - performance.now()), undefined, io)
    }
    const seconds = (performance.now() - start) / 1000
    return reportOf(await Promise.all(answers), seconds)
  }

  return {
    async during(work, io) {
      const enough = new AbortController()
      const sending = send(enough.signal, io)
      const [result, report] = await Promise.all([work().finally(() => enough.abort()), sending])
      return { result, report }
    },
  }
}

function reportOf(answers: readonly LoginAnswer[], seconds: number): LoginReport {
  const hashed = answers.filter(isHashed)
  const latencies = hashed.map(({ ms }) => ms).sort((a, b) => a - b)
  const others = Map.groupBy(
    answers.filter(answer => !isHashed(answer)),
    ({ outcome }) => outcome,
  )
  return {
    sent: answers.length,
    hashed: hashed.length,
    seconds,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    others: [...others].map(([outcome, { length }]) => `${length} x ${outcome}`).join(', '),
  }
}

const isHashed = ({ outcome }: LoginAnswer) => outcome === 'status 401'

interface LoginAnswer {
  /** The status, or why there was none. */
  readonly outcome: string
  readonly ms: number
}

function tryPassword(port: number, number: number, { signal }: Io): Promise<LoginAnswer> {
  const began = performance.now()
  // Every address of 127.0.0.0/8 is this machine; a /24 is one network to Slipway.
  const localAddress = `127.${1 + (number >> 8)}.${number & 255}.1`
  const auth = `nobody-${number}:not the password of anybody ${number}`
  return new Promise(resolve => {
    const end = (outcome: string) => resolve({ outcome, ms: performance.now() - began })
    request({ host: '127.0.0.1', port, path: tokenPath, localAddress, auth, agent: false, signal })
      .once('response', response => {
        response.resume().once('close', () => end(`status ${response.statusCode}`))
      })
      .once('error', error => end(error.message))
      .end()
  })
}
