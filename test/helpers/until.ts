const pollMs = 25

/** Waits until a condition holds, and no longer than `boundMs`; the error says what was waited for. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  boundMs = 10_000,
): Promise<void> {
  const giveUpAt = Date.now() + boundMs
  while (!(await condition())) {
    if (Date.now() > giveUpAt) throw new Error(`${what}: not within ${boundMs} ms`)
    await pause(pollMs)
  }
}

/** A client's thinking time; for waiting there is `until`. */
export function pause(ms: number): Promise<void> {
  return new Promise(wake => setTimeout(wake, ms))
}
