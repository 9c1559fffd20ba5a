import type { Io } from '../oci/io.ts'
import type { Server } from './fleet.ts'
import type { Goal } from './goals.ts'

/** One number of one server, with what it cost. */
export interface Sample {
  readonly value: number
  readonly p50Ms?: number
  readonly p99Ms?: number
  /** The server's processor time for one unit of the line. */
  readonly cpu?: number
  /** Cores that the client used: near 1.0 the one thread of the client, not the server, may be the limit. */
  readonly clientCores?: number
  /** The value against that of a sample taken right before or after, where a measurement takes pairs. */
  readonly pairRatio?: number
  readonly note?: string
}

export interface Line {
  readonly title: string
  readonly unit: string
  readonly cpuUnit?: string
  readonly goal?: Goal
}

export interface Measurement {
  /** What `--only` calls it. */
  readonly name: string
  readonly lines: readonly Line[]
  readonly rounds: number
  applies(server: Server): boolean
  /** Whatever must be there before the first timing, for this server. */
  prepare?(server: Server, io: Io): Promise<void>
  /** One timing: a sample for each line, in their order; undefined where the server has none. */
  take(server: Server, round: number, io: Io): Promise<readonly (Sample | undefined)[]>
}

export type Row = { readonly line: Line; readonly server: Server } & (
  | { readonly sample: Sample }
  | { readonly failure: string }
)

/** Times the servers one after the other, each round beginning with another of them; gives medians. */
export async function measure(
  measurement: Measurement,
  servers: readonly Server[],
  progress: (what: string) => void,
  io: Io,
): Promise<Row[]> {
  const subjects = servers.filter(server => measurement.applies(server))
  const taken = new Map<Server, (Sample | undefined)[][]>(subjects.map(server => [server, []]))
  const failures = new Map<Server, string>()
  const attempt = async (server: Server, work: () => Promise<void>) => {
    if (failures.has(server)) return
    try {
      await work()
    } catch (error) {
      io.signal.throwIfAborted()
      failures.set(server, error instanceof Error ? error.message : String(error))
    }
  }

  for (const server of subjects) {
    progress(`${measurement.name}: preparing ${server.name}`)
    await attempt(server, async () => measurement.prepare?.(server, io))
  }
  for (let round = 0; round < measurement.rounds; round++) {
    for (const server of rotated(subjects, round)) {
      progress(`${measurement.name}: round ${round + 1} of ${measurement.rounds}, ${server.name}`)
      await attempt(server, async () => {
        taken.get(server)?.push([...(await measurement.take(server, round, io))])
      })
    }
  }

  return measurement.lines.flatMap((line, index) =>
    subjects.flatMap((server): Row[] => {
      const failure = failures.get(server)
      if (failure !== undefined) return [{ line, server, failure }]
      const samples = (taken.get(server) ?? []).map(row => row[index]).filter(sample => sample !== undefined)
      return samples.length > 0 ? [{ line, server, sample: medianOf(samples) }] : []
    }),
  )
}

export function rotated<T>(items: readonly T[], by: number): T[] {
  const at = items.length === 0 ? 0 : by % items.length
  return [...items.slice(at), ...items.slice(0, at)]
}

/** The median of each field by itself. */
export function medianOf(samples: readonly Sample[]): Sample {
  const field = (name: 'p50Ms' | 'p99Ms' | 'cpu' | 'clientCores' | 'pairRatio') => {
    const values = samples.map(sample => sample[name]).filter(value => value !== undefined)
    return values.length > 0 ? { [name]: median(values) } : {}
  }
  const note = samples.findLast(sample => sample.note !== undefined)?.note
  return {
    value: median(samples.map(({ value }) => value)),
    ...field('p50Ms'),
    ...field('p99Ms'),
    ...field('cpu'),
    ...field('clientCores'),
    ...field('pairRatio'),
    ...(note !== undefined && { note }),
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)] ?? 0
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0
  return (lower + upper) / 2
}
