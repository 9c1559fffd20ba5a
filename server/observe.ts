import { type Logger, pino } from 'pino'
import type { Operation } from './operations.ts'

/** Everything worth telling an operator. What becomes of it is decided here and nowhere else. */
export type Observation =
  | { readonly event: 'listening'; readonly address: string; readonly data: string; readonly workers: number }
  | { readonly event: 'request'; readonly id: string; readonly method: string; readonly operation: Operation | undefined; readonly status: number; readonly ms: number; readonly from: string | undefined; readonly error?: unknown }
  | { readonly event: 'client error'; readonly from: string | undefined; readonly code: string | undefined }
  | { readonly event: 'sendfile'; readonly available: boolean; readonly reason?: string | undefined }
  | { readonly event: 'purged'; readonly uploads: number }
  | { readonly event: 'job failed'; readonly job: string; readonly error: unknown }
  | { readonly event: 'settings'; readonly changed: readonly string[]; readonly needRestart: readonly string[] }
  | { readonly event: 'settings refused'; readonly error: unknown }
  | { readonly event: 'worker ended'; readonly pid: number | undefined; readonly code: number | null; readonly signal: string | null }
  | { readonly event: 'stopping'; readonly signal: string }
  | { readonly event: 'stopped'; readonly unfinished: number }

export type Observe = (observation: Observation) => void

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error'

export interface Log {
  readonly observe: Observe
  setLevel(level: LogLevel): void
  /** Writes out what is buffered. */
  flush(): void
}

/** Lines of JSON on standard output, gathered before they are written: a line that waits costs a request nothing. */
export function jsonLog(level: LogLevel): Log {
  const destination = pino.destination({ dest: 1, minLength: 4096, sync: false, periodicFlush: 200 })
  const logger = pino({ level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime }, destination)
  return {
    observe: observation => write(logger, observation),
    setLevel: next => {
      logger.level = next
    },
    flush: () => destination.flushSync(),
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

function write(logger: Logger, observation: Observation): void {
  const { event, ...fields } = observation
  switch (observation.event) {
    case 'request': {
      const { operation, error, ms, ...rest } = observation
      const level = observation.status >= 500 ? 'error' : 'info'
      if (!logger.isLevelEnabled(level)) return
      const trouble = observation.status >= 500 && error instanceof Error ? { stack: error.stack } : {}
      logger[level](
        { ...rest, event: undefined, ...subject(operation), ms: Math.round(ms * 10) / 10, error: causes(error), ...trouble },
        event,
      )
      return
    }
    case 'job failed':
    case 'settings refused':
      logger.error({ ...fields, error: causes(observation.error) }, event)
      return
    case 'worker ended':
      logger.warn(fields, event)
      return
    case 'client error':
      logger.debug(fields, event)
      return
    default:
      logger.info(fields, event)
  }
}
