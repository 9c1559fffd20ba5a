/** Bytes of an object that go on where they broke off. */
import { finished, Readable } from 'node:stream'
import type { ByteRange } from '../oci/ranges.ts'
import { CutOff } from './s3-faults.ts'

export interface SteadyOptions {
  /** What comes first. */
  readonly first: Readable
  /** The bytes that are wanted. */
  readonly span: ByteRange
  /**
   * Asks for the rest, after `cause` has ended what came until then; what it throws ends it all. `wasIdle`: nobody had read
   * for a while, and connections that stand still are ended by either side.
   */
  again(rest: ByteRange, cause: Error, wasIdle: boolean): Promise<Readable>
  /** How long the store may send nothing of what it is asked for. */
  readonly silenceMs: number
}

/** Exactly the bytes that are wanted, or a failure: never fewer, never others. */
export function steady({ first, span, again, silenceMs }: SteadyOptions): Readable {
  let position = span.start
  let source: Readable | undefined
  /** What broke off while nobody wanted more. */
  let broken: { readonly cause: Error; readonly wasIdle: boolean } | undefined
  let wanted = false
  let cameMs = Date.now()
  // A reader that takes its time is no fault of the store.
  const silence = setTimeout(() => {
    if (wanted) source?.destroy(new SilenceError())
  }, silenceMs)
  silence.unref()

  function follow(next: Readable): void {
    source = next
    silence.refresh()
    next.on('data', (chunk: Buffer) => {
      if (source !== next) return
      position += chunk.length
      if (position > span.end)
        return void whole.destroy(new Error('the store sent more than it was asked for'))
      silence.refresh()
      cameMs = Date.now()
      wanted = whole.push(chunk)
      if (!wanted) next.pause()
    })
    finished(next, { writable: false }, error => {
      if (source !== next || whole.destroyed) return
      source = undefined
      const cause = error ?? new CutOff('an answer of the store ended early')
      if (position === span.end) whole.push(null)
      else if (wanted) goOn(cause, false)
      else broken = { cause, wasIdle: Date.now() - cameMs >= silenceMs / 2 }
    })
  }

  function goOn(cause: Error, wasIdle: boolean): void {
    broken = undefined
    again({ start: position, end: span.end }, cause, wasIdle).then(
      next => {
        if (whole.destroyed) next.destroy()
        else follow(next)
      },
      error => whole.destroy(error),
    )
  }

  const whole = new Readable({
    read() {
      wanted = true
      if (broken) return goOn(broken.cause, broken.wasIdle)
      silence.refresh()
      source?.resume()
    },
    destroy(error, done) {
      clearTimeout(silence)
      source?.destroy()
      done(error)
    },
  })
  follow(first)
  first.pause()
  return whole
}

class SilenceError extends Error {
  override readonly name = 'TimeoutError'

  constructor() {
    super('the store stopped in the middle of an answer')
  }
}
