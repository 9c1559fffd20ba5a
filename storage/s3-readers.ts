/** Content that is on its way from the store: so much at once, however slowly it is taken, that the rest never waits for it. */
import { RegistryError } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'
import { comeAgain } from './s3-faults.ts'

export interface Readers {
  /** Waits for a turn; fails where there is none in time. */
  enter(io: Io): Promise<void>
  /** Ends a turn. */
  leave(): void
}

export function readersOf(most: number, waitMs: number): Readers {
  const waiting = new Set<() => void>()
  let inside = 0

  return {
    async enter({ signal }) {
      signal.throwIfAborted()
      if (inside < most) {
        inside++
        return
      }
      await new Promise<void>((resolve, reject) => {
        const settle = (end: () => void) => {
          waiting.delete(begin)
          clearTimeout(timer)
          signal.removeEventListener('abort', abort)
          end()
        }
        const begin = () => settle(resolve)
        const abort = () => settle(() => reject(signal.reason))
        const timer = setTimeout(() => settle(() => reject(tooMany())), waitMs)
        signal.addEventListener('abort', abort, { once: true })
        waiting.add(begin)
      })
    },
    leave() {
      const [next] = waiting
      if (next) next()
      else inside--
    },
  }
}

const tooMany = () =>
  new RegistryError('STORAGE_UNAVAILABLE', {
    message: 'too much is being read from storage at once',
    headers: comeAgain,
  })
