import type { Io } from '../oci/io.ts'
import { Busy } from './errors.ts'

export interface GateOptions {
  /** How much runs at a time. */
  readonly atOnce: number
  /** How much may wait for that. */
  readonly waiting: number
}

/** Runs work when its turn has come: in order, a few at once. Throws Busy instead of letting too many wait. */
export type Gate = <Result>(work: () => Promise<Result>, io: Io) => Promise<Result>

export function gate({ atOnce, waiting }: GateOptions): Gate {
  const queue = new Set<() => void>()
  let running = 0

  async function turn({ signal }: Io): Promise<void> {
    signal.throwIfAborted()
    if (running < atOnce) {
      running++
      return
    }
    if (queue.size >= waiting) throw new Busy()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const leave = () => {
      queue.delete(resolve)
      reject(signal.reason)
    }
    queue.add(resolve)
    signal.addEventListener('abort', leave, { once: true })
    await promise
    signal.removeEventListener('abort', leave)
  }

  /** Who waits longest takes over the place of who leaves. */
  function leave(): void {
    const [next] = queue
    if (next) {
      queue.delete(next)
      next()
    } else running--
  }

  return async (work, io) => {
    await turn(io)
    try {
      return await work()
    } finally {
      leave()
    }
  }
}
