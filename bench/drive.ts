import { type Connection, openConnection } from './connection.ts'
import { openPoller } from './socket.ts'

export interface Load {
  readonly port: number
  readonly connections: number
  readonly copy?: boolean
}

/** What one timed load came to. Failed requests are counted apart and are in no other number. */
export interface Report {
  readonly requests: number
  readonly bytes: number
  readonly seconds: number
  readonly clientCpuSeconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly failures: number
  /** The first few, in the words of what went wrong. */
  readonly errors: readonly string[]
  /** Seconds in which each tenth of the requests ended, for loads of a known length. */
  readonly tenths: readonly number[]
}

/** Another connection, to be kept until the end. */
export type Open = (port: number) => Connection

/** A connection that fails this often in a row is given up, so that a broken server ends the run. */
const maxFailuresInRow = 5
const errorsKept = 3

/**
 * Repeats an exchange on each of the connections until `next` has no more to do; the exchange returns the bytes that
 * count. A connection on which it throws is replaced.
 */
export async function drive<T>(
  load: Load,
  next: () => T | undefined,
  exchange: (connection: Connection, task: T, open: Open) => Promise<number>,
): Promise<Report> {
  const poller = openPoller({ copy: load.copy ?? false })
  const latencies: number[] = []
  const ends: number[] = []
  const errors: string[] = []
  let [bytes, failures] = [0, 0]
  const connections = Array.from({ length: load.connections }, () => openConnection(poller, load.port))
  const others: Connection[] = []
  const open: Open = port => {
    const other = openConnection(poller, port)
    others.push(other)
    return other
  }
  const cpu = process.cpuUsage()
  const start = performance.now()

  async function repeat(first: Connection): Promise<void> {
    let connection = first
    let failuresInRow = 0
    for (let task = next(); task !== undefined; task = next()) {
      const began = performance.now()
      try {
        const counted = await exchange(connection, task, open)
        bytes += counted
        failuresInRow = 0
        latencies.push(performance.now() - began)
        ends.push(performance.now() - start)
      } catch (error) {
        failures++
        if (errors.length < errorsKept) errors.push(error instanceof Error ? error.message : String(error))
        connection.close()
        if (++failuresInRow >= maxFailuresInRow) return
        connection = openConnection(poller, load.port)
      }
    }
    connection.close()
  }

  await poller.run(connections.map(repeat))
  for (const other of others) other.close()
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  latencies.sort((a, b) => a - b)
  return {
    requests: latencies.length,
    bytes,
    seconds,
    clientCpuSeconds: (user + system) / 1e6,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    failures,
    errors,
    tenths: tenthsOf(ends),
  }
}

export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

function tenthsOf(ends: readonly number[]): number[] {
  const marks = Array.from({ length: 11 }, (_, i) => ends[Math.round((ends.length * i) / 10) - 1] ?? 0)
  return marks.slice(1).map((mark, i) => (mark - (marks[i] ?? 0)) / 1000)
}
