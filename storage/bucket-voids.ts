/**
 * What stands for removed records, until nobody can mean the record any more. A bucket can write it under a condition for
 * certain; removing it later needs less: a store that compares first and removes then, as some do that claim to do both
 * at once, loses what is written in between.
 */
import type { Bucket } from './bucket.ts'
import { operation } from './record.ts'

/** How many are remembered; the others stay. */
const most = 10_000

export interface Voids {
  /** Removes one when it has rested, if it is still that one. */
  add(key: string, etag: string): void
  close(): void
}

interface Resting {
  readonly etag: string
  readonly dueMs: number
}

/** For a bucket that removes under a condition. A process that ends before forgets them. */
export function voidsOf(bucket: Bucket, restMs: number): Voids {
  const resting = new Map<string, Resting>()
  const end = new AbortController()
  let timer: NodeJS.Timeout | undefined

  const first = () => resting.entries().next().value
  const arm = () => {
    const next = first()
    const sweepAll = () => void sweep().finally(arm)
    timer = next && !end.signal.aborted ? setTimeout(sweepAll, next[1].dueMs - Date.now()).unref() : undefined
  }

  async function sweep(): Promise<void> {
    for (let next = first(); next && next[1].dueMs <= Date.now(); next = first()) {
      const [key, { etag }] = next
      resting.delete(key)
      const options = operation({ signal: end.signal })
      // It does no harm where it stays.
      await bucket.remove(key, { ...options, condition: { ifMatch: etag } }).catch(() => {})
    }
  }

  return {
    add(key, etag) {
      resting.delete(key)
      if (resting.size >= most) return
      resting.set(key, { etag, dueMs: Date.now() + restMs })
      if (timer === undefined) arm()
    },
    close() {
      end.abort()
      clearTimeout(timer)
    },
  }
}
