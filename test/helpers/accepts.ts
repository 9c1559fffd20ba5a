/** Whether a new connection is answered: one that comes as a server is told to stop may be taken and left alone. */
export async function accepts(address: string): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(1000)
    await fetch(new URL('/healthz', address), { headers: { Connection: 'close' }, signal })
    return true
  } catch {
    return false
  }
}
