/** What a run of many clients against several nodes comes to, in figures. */
import type { ClientFigures } from './patient-client.ts'
import type { EngineName } from './s3-engine.ts'

export interface NodeLoopOptions {
  readonly nodes: number
  readonly clients: number
  readonly forMs: number
  readonly killEveryMs: number
}

export interface NodeLoopFigures {
  readonly engine: EngineName
  readonly options: NodeLoopOptions
  readonly kills: number
  /** How often what was done. */
  readonly done: ReadonlyMap<string, number>
  readonly client: ClientFigures
  readonly manifests: number
  readonly blobs: number
  readonly verifiedBytes: number
  readonly registers: number
  readonly operations: number
  readonly resident: readonly Resident[]
  /** What broke a promise, one line each. */
  readonly lost: readonly string[]
}

/** Memory of a node, in bytes. */
interface Resident {
  readonly first: number
  readonly median: number
  readonly lastMinute: number
  readonly most: number
  /** Medians of the second and of the last third of the time. */
  readonly thirds: readonly [number, number]
}

const middleOf = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

/** Of samples that were taken every second. */
export function residentOf(samples: readonly number[]): Resident {
  const third = Math.floor(samples.length / 3)
  return {
    first: samples[0] ?? 0,
    median: middleOf(samples),
    lastMinute: middleOf(samples.slice(-60)),
    most: Math.max(...samples),
    thirds: [middleOf(samples.slice(third, 2 * third)), middleOf(samples.slice(2 * third))],
  }
}

const MB = (bytes: number) => (bytes / 1e6).toFixed(0)

/** The figures in a few lines, for the end of a run. */
export function said(figures: NodeLoopFigures): readonly string[] {
  const { engine, options, kills, done, client, manifests, blobs, verifiedBytes, resident, lost } = figures
  const memory = resident.map(
    ({ first, median, lastMinute, most, thirds: [middle, last] }, node) =>
      `node ${node}: start ${MB(first)}, median ${MB(median)}, last minute ${MB(lastMinute)}, most ${MB(most)}, ` +
      `middle third ${MB(middle)}, last third ${MB(last)}`,
  )
  const minutes = (options.forMs / 60_000).toFixed(1)
  return [
    `${engine}: ${options.nodes} nodes, ${options.clients} clients, ${minutes} min, ${kills} kills`,
    `${client.requests} requests: ${client.cutOff} cut off, ${client.unavailable} with 503, ${client.wrong.length} with another 5xx, ` +
      `${client.silent.length} without an answer`,
    [...done].map(([what, times]) => `${times} x ${what}`).join(', '),
    `uploads: ${MB(client.bytesIn)} MB, ${client.resumed} times gone on with, ${client.restarted} times begun again`,
    `${manifests} manifests and ${blobs} blobs, ${MB(verifiedBytes)} MB of them read again; ` +
      `${figures.operations} operations on ${figures.registers} tags and manifests judged; ${lost.length} lost`,
    `resident MB: ${memory.join('; ')}`,
  ]
}
