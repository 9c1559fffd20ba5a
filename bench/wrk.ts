import { fileURLToPath } from 'node:url'
import type { Io } from '../oci/io.ts'
import { runProgram } from './program.ts'

export interface WrkLoad {
  readonly path: string
  readonly seconds: number
  /** 64 where nothing is said. */
  readonly connections?: number
  /** What every request says of who asks. */
  readonly authorization?: string
  /** A file of such words, one a line, for the requests to take in turn. */
  readonly authorizations?: string
}

export interface WrkReport {
  readonly requests: number
  readonly requestsPerSecond: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Without it the registries answer a manifest of this type with 404, as the specification lets them. */
const accept = 'Accept: application/vnd.oci.image.manifest.v1+json'

const inTurn = fileURLToPath(new URL('./wrk-authorizations.lua', import.meta.url))

/** One thread of wrk. Throws when any request failed. */
export async function runWrk(port: number, load: WrkLoad, io: Io): Promise<WrkReport> {
  const { path, seconds, connections = 64, authorization, authorizations } = load
  const headers = authorization === undefined ? [accept] : [accept, `Authorization: ${authorization}`]
  const { stdout } = await runProgram(
    'wrk',
    [
      ...['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '--latency'],
      ...headers.flatMap(header => ['-H', header]),
      ...(authorizations === undefined ? [] : ['-s', inTurn]),
      `http://127.0.0.1:${port}${path}`,
      ...(authorizations === undefined ? [] : ['--', authorizations]),
    ],
    io,
  )
  return parseWrk(stdout)
}

export function parseWrk(output: string): WrkReport {
  const refused = /Non-2xx or 3xx responses: (\d+)/.exec(output)?.[1]
  if (refused !== undefined) throw new Error(`${refused} answers were not 2xx`)
  const broken = /Socket errors: (.*)/.exec(output)?.[1]
  if (broken !== undefined) throw new Error(`socket errors: ${broken}`)
  const [, requests, seconds] = /(\d+) requests in ([\d.]+\w+)/.exec(output) ?? []
  const rate = /Requests\/sec:\s*([\d.]+)/.exec(output)?.[1]
  if (requests === undefined || seconds === undefined || rate === undefined || Number(requests) === 0) {
    throw new Error(`no requests in what wrk printed: ${output.trim().split('\n').at(-1) ?? ''}`)
  }
  return {
    requests: Number(requests),
    requestsPerSecond: Number(rate),
    seconds: milliseconds(seconds) / 1000,
    p50Ms: milliseconds(/^\s+50%\s+(\S+)/m.exec(output)?.[1] ?? ''),
    p99Ms: milliseconds(/^\s+99%\s+(\S+)/m.exec(output)?.[1] ?? ''),
  }
}

const unitMs: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000 }

function milliseconds(text: string): number {
  const [, amount, unit] = /^([\d.]+)(us|ms|s|m)$/.exec(text) ?? []
  const factor = unitMs[unit ?? '']
  if (amount === undefined || factor === undefined)
    throw new Error(`not a duration of wrk: ${JSON.stringify(text)}`)
  return Number(amount) * factor
}
