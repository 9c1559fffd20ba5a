import type { Io } from '../oci/io.ts'
import { journalKey, journalPrefix, segmentOfKey } from './layout.ts'
import type { ObjectStore } from './object-store.ts'
import { everyKey } from './pages.ts'
import { operation } from './record.ts'

/** Lines that are only ever added, by any number of processes, in one order. */
export interface Journal {
  /**
   * Adds the lines that `make` makes of the last one there is, all or none; `make` is asked again when somebody else was
   * faster. Durable when it resolves.
   */
  append(make: (last: string | undefined) => readonly string[], io: Io): Promise<void>
  /** All of them, oldest first. */
  lines(io: Io): AsyncIterable<JournalLine>
}

export interface JournalLine {
  readonly text: string
  /** Where it stands, as `audit/0000000001:7`. */
  readonly place: string
}

interface Segment {
  readonly number: number
  readonly text: string
  /** Undefined where there is no such segment yet. */
  readonly etag: string | undefined
}

/**
 * What an append writes again is at most this, and its own lines. A segment that has reached it is never written
 * again: everybody must agree on that, so it is no setting.
 */
const segmentBytes = 128 * 1024

/** A journal whose segments are records: the last one is replaced by itself and the new lines, or followed by the next. */
export function journal(store: ObjectStore): Journal {
  /** The last segment that was seen: nothing is added before it. */
  let seen = 0

  async function* numbers(io: Io): AsyncIterable<number> {
    for await (const keys of everyKey(store, journalPrefix, io))
      for (const key of keys) {
        const number = segmentOfKey(key)
        if (number !== undefined) yield number
      }
  }

  async function read(number: number, io: Io): Promise<Segment> {
    const record = await store.read(journalKey(number), io)
    return { number, text: record?.bytes.toString() ?? '', etag: record?.etag }
  }

  /** The segment that lines are added to, and the last line there is. */
  async function end(io: Io): Promise<{ readonly segment: Segment; readonly last: string | undefined }> {
    if (seen === 0) for await (const number of numbers(io)) seen = number
    let before: Segment | undefined
    for (let number = Math.max(seen, 1); ; number++) {
      const segment = await read(number, io)
      if (segment.etag !== undefined) seen = number
      const isFull = Buffer.byteLength(segment.text) >= segmentBytes
      if (!isFull) return { segment, last: lastLine(segment) ?? (before && lastLine(before)) }
      before = segment
    }
  }

  return {
    async append(make, io) {
      const options = operation(io)
      for (;;) {
        const { segment, last } = await end(io)
        const text =
          segment.text +
          make(last)
            .map(line => `${line}\n`)
            .join('')
        const condition = segment.etag === undefined ? { ifAbsent: true as const } : { ifMatch: segment.etag }
        if (await store.write(journalKey(segment.number), Buffer.from(text), { ...options, condition }))
          return
        io.signal.throwIfAborted()
      }
    },

    async *lines(io) {
      for await (const number of numbers(io)) {
        const segment = await read(number, io)
        let line = 0
        for (const text of linesOf(segment)) yield { text, place: `${journalKey(number)}:${++line}` }
      }
    },
  }
}

const linesOf = ({ text }: Segment) => (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n')

function lastLine(segment: Segment): string | undefined {
  return segment.text === '' ? undefined : linesOf(segment).at(-1)
}
