import { type Logger, pino } from 'pino'
import type { Operation } from './operations.ts'

/** Everything worth telling an operator. What becomes of it is decided here and nowhere else. */
export type Observation =
  | {
      readonly event: 'listening'
      readonly address: string
      readonly addresses: readonly string[]
      readonly data: string
      readonly workers: number
    }
  | {
      readonly event: 'request'
      readonly id: string
      readonly method: string
      readonly operation: Operation | undefined
      readonly status: number
      readonly ms: number
      readonly from: string | undefined
      /** As `wordOf` spells it, and by what it was proved. */
      readonly who: string
      readonly by: string
      readonly error?: unknown
    }
  | { readonly event: 'client error'; readonly from: string | undefined; readonly code: string | undefined }
  | { readonly event: 'sendfile missing'; readonly reason: string }
  | { readonly event: 'sendfile lost'; readonly error: unknown }
  | { readonly event: 'receiver lost'; readonly error: unknown }
  | { readonly event: 'purged'; readonly uploads: number }
  | { readonly event: 'job failed'; readonly job: string; readonly error: unknown }
  | { readonly event: 'settings'; readonly taken: readonly string[]; readonly needRestart: readonly string[] }
  | { readonly event: 'settings refused'; readonly faults: readonly string[] }
  | { readonly event: 'settings doubtful'; readonly warnings: readonly string[] }
  /** Files that settings name, after they have changed. */
  | { readonly event: 'files' }
  | { readonly event: 'files refused'; readonly faults: readonly string[] }
  | {
      readonly event: 'worker ended'
      readonly worker: number | undefined
      readonly code: number | null
      readonly signal: string | null
    }
  | { readonly event: 'stopping'; readonly signal: string }
  | { readonly event: 'stopped'; readonly unfinished: number }

type RequestObservation = Extract<Observation, { event: 'request' }>

export type Observe = (observation: Observation) => void

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error'

export interface Log {
  readonly observe: Observe
  setLevel(level: LogLevel): void
  /** Writes out what is buffered; gives up soon where nobody reads. */
  flush(): Promise<void>
}

/** What is kept for a reader that does not read; more is dropped. */
const mostKeptBytes = 1024 * 1024
const flushMs = 500

/**
 * Lines of JSON on standard output, gathered before they are written: a line that waits costs a request nothing. No
 * write is longer than a pipe takes at once (PIPE_BUF), so lines of several processes do not mix.
 */
export function jsonLog(level: LogLevel): Log {
  const destination = pino.destination({
    dest: 1,
    minLength: 2048,
    maxWrite: 4096,
    maxLength: mostKeptBytes,
    sync: false,
    periodicFlush: 200,
  })
  // Whoever read the log has gone. That is no reason not to serve.
  destination.on('error', () => {})
  const logger = pino(
    { level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
    destination,
  )
  return {
    observe(observation) {
      if (observation.event === 'request') writeRequest(logger, observation)
      else write(logger, observation)
    },
    setLevel: next => {
      logger.level = next
    },
    // Not flushSync: where the other end has gone it tries for ever.
    flush: () =>
      new Promise(resolve => {
        const late = setTimeout(resolve, flushMs)
        destination.flush(() => {
          clearTimeout(late)
          resolve()
        })
      }),
  }
}

/** The fields of an operation that say what was asked for. An upload's address is a secret between us and its client. */
function subject(operation: Operation | undefined) {
  if (!operation) return { operation: 'invalid' }
  const { kind, ...rest } = operation
  return {
    operation: kind,
    ...('name' in rest && { name: rest.name }),
    ...('reference' in rest && { reference: rest.reference }),
    ...('digest' in rest && { digest: rest.digest }),
  }
}

function causes(error: unknown): string | undefined {
  if (!(error instanceof Error)) return error === undefined ? undefined : String(error)
  return error.cause instanceof Error ? `${error.message}: ${causes(error.cause)}` : error.message
}

function write(logger: Logger, observation: Exclude<Observation, RequestObservation>): void {
  const { event, ...fields } = observation
  const line = 'error' in fields ? { ...fields, error: causes(fields.error) } : fields
  logger[levels[event] ?? 'info'](line, event)
}

const levels: { readonly [E in Observation['event']]?: LogLevel } = {
  'job failed': 'error',
  'settings refused': 'error',
  'settings doubtful': 'warn',
  'files refused': 'error',
  'sendfile lost': 'error',
  'receiver lost': 'error',
  'worker ended': 'warn',
  'client error': 'debug',
}

function writeRequest(logger: Logger, observation: RequestObservation): void {
  const failed = observation.status >= 500
  const level = failed ? 'error' : 'info'
  if (!logger.isLevelEnabled(level)) return
  const { event, operation, error, ms, ...rest } = observation
  const stack = failed && error instanceof Error ? { stack: error.stack } : {}
  logger[level](
    { ...rest, ...subject(operation), ms: Math.round(ms * 10) / 10, error: causes(error), ...stack },
    event,
  )
}
