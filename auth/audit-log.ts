/**
 * Writes the audit down. What an administrator does is written before it is done; the rest of a second goes together,
 * so that pushes do not wait for it.
 */
import type { Io } from '../oci/io.ts'
import { type AuditEvent, chainEndAt, nextLine } from './audit.ts'

/** Where the lines go. */
export interface AuditJournal {
  /** Adds the lines that `make` makes of the last one there is, all or none; `make` may be asked again. */
  append(make: (last: string | undefined) => readonly string[], io: Io): Promise<void>
}

/** When it happened is when it was told. */
export type AuditNote = Omit<AuditEvent, 'at'>

export interface AuditLog {
  /** Written when it resolves. Rejects when it is not: then what it tells of must not happen. */
  record(note: AuditNote): Promise<void>
  /** Written within a second, and never waited for. What cannot be written is tried again, within bounds. */
  note(note: AuditNote): void
  /** Writes what is waiting. Rejects when that cannot be written. */
  flush(): Promise<void>
}

export interface AuditLogParts {
  readonly journal: AuditJournal
  /** ms since the epoch. */
  readonly now: () => number
  /** Hears of each write that failed, with how many events wait for the next. */
  readonly onFailure?: (error: unknown, waiting: number) => void
  readonly limits?: Partial<AuditLimits>
}

export interface AuditLimits {
  readonly everyMs: number
  /** Events that wait; of those that come then only the number is told. */
  readonly waiting: number
}

const usualLimits: AuditLimits = { everyMs: 1_000, waiting: 10_000 }
/** Written at once: about as much as a segment holds. */
const batchEvents = 256
const writeMs = 30_000

interface Waiting {
  readonly event: AuditEvent
  /** Of who waits for it. */
  readonly settle?: { resolve(): void; reject(error: unknown): void }
}

export function auditLog({ journal, now, onFailure = () => {}, limits }: AuditLogParts): AuditLog {
  const { everyMs, waiting: maxWaiting } = { ...usualLimits, ...limits }
  const waiting: Waiting[] = []
  let lost = 0
  let writing: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined

  const at = () => new Date(now()).toISOString()

  function gap(): readonly Waiting[] {
    if (lost === 0) return []
    const reason = `${lost} events could not be written down`
    lost = 0
    return [
      {
        event: {
          at: at(),
          actor: 'system',
          via: 'system',
          action: 'audit.gap',
          result: 'failed',
          detail: { reason },
        },
      },
    ]
  }

  async function writeBatch(): Promise<void> {
    const batch = waiting.splice(0, batchEvents)
    if (waiting.length === 0) batch.push(...gap())
    try {
      const io = { signal: AbortSignal.timeout(writeMs) }
      await journal.append(last => linesAfter(last, batch), io)
      for (const { settle } of batch) settle?.resolve()
    } catch (error) {
      for (const { settle } of batch) settle?.reject(error)
      // What somebody waited for did not happen, so it is not told later.
      waiting.unshift(...batch.filter(({ settle }) => !settle))
      onFailure(error, waiting.length)
      throw error
    }
  }

  /** Writes all that waits. One write at a time: the order of a process is the order of its lines. */
  function write(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    writing ??= (async () => {
      try {
        while (waiting.length > 0) await writeBatch()
      } finally {
        writing = undefined
        if (waiting.some(({ settle }) => settle)) void write().catch(() => {})
        else if (waiting.length > 0) soon()
      }
    })()
    return writing
  }

  function soon(): void {
    // What it may reject with, `onFailure` has heard.
    // Nobody is kept from ending by it: who ends flushes.
    timer ??= setTimeout(() => void write().catch(() => {}), everyMs).unref()
  }

  return {
    record(note) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      waiting.push({ event: { at: at(), ...note }, settle: { resolve, reject } })
      void write().catch(() => {})
      return promise
    },
    note(note) {
      if (waiting.length >= maxWaiting) lost++
      else waiting.push({ event: { at: at(), ...note } })
      soon()
    },
    flush: write,
  }
}

function linesAfter(last: string | undefined, batch: readonly Waiting[]): readonly string[] {
  let end = chainEndAt(last)
  return batch.map(({ event }) => {
    const next = nextLine(end, event)
    end = next.end
    return next.line
  })
}
