/** Runs what it is given, so many at once; the rest wait in line. */
export function slots(count: number): <T>(run: () => Promise<T>) => Promise<T> {
  let free = count
  const waiting: (() => void)[] = []
  return async run => {
    if (free > 0) free--
    else await new Promise<void>(resolve => waiting.push(resolve))
    try {
      return await run()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else free++
    }
  }
}

/** Runs over all of a list, so many at once. The first failure is the answer; what was not begun then never is. */
export async function forEachAtOnce<T>(
  items: readonly T[],
  count: number,
  run: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values()
  let isFailed = false
  const lane = async () => {
    for (const item of rest) {
      if (isFailed) return
      try {
        await run(item)
      } catch (error) {
        isFailed = true
        throw error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(count, items.length) }, lane))
}
