/** Buffers in which the parts of uploads are gathered: so many, however many uploads there are. */

export interface PartBuffers {
  readonly bytes: number
  /** Waits until there is one. */
  take(signal: AbortSignal): Promise<Buffer>
  /** One more, if that takes it from nobody. */
  tryTake(): Buffer | undefined
  /** `used`: how much of it was written to, all of it where nothing is said. */
  give(buffer: Buffer, used?: number): void
}

/** Kept when nobody needs them; and all that were hardly used, as only that much of them takes memory. */
const keptBuffers = 4
const hardlyBytes = 1024 * 1024

export function partBuffers({ bytes, most }: { readonly bytes: number; readonly most: number }): PartBuffers {
  const free: Buffer[] = []
  const waiting: ((buffer: Buffer) => void)[] = []
  const wellUsed = new WeakSet<Buffer>()
  let taken = 0

  function next(): Buffer {
    taken++
    // Memory that is not touched is not there: a short body takes little of it.
    return free.pop() ?? Buffer.allocUnsafeSlow(bytes)
  }

  return {
    bytes,
    async take(signal) {
      signal.throwIfAborted()
      if (taken < most) return next()
      return new Promise((resolve, reject) => {
        const leave = () => {
          waiting.splice(waiting.indexOf(given), 1)
          reject(signal.reason)
        }
        const given = (buffer: Buffer) => {
          signal.removeEventListener('abort', leave)
          resolve(buffer)
        }
        signal.addEventListener('abort', leave, { once: true })
        waiting.push(given)
      })
    },
    tryTake: () => (taken < most && waiting.length === 0 ? next() : undefined),
    give(buffer, used = bytes) {
      if (used > hardlyBytes) wellUsed.add(buffer)
      const first = waiting.shift()
      if (first) return first(buffer)
      taken--
      const kept = free.filter(each => wellUsed.has(each)).length
      if (!wellUsed.has(buffer) || kept < keptBuffers) free.push(buffer)
    },
  }
}
