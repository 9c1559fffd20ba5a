import { json } from './answer.ts'
import type { Context, Services } from './context.ts'

/** This process answers. */
export async function alive() {
  return json({ status: 'ok' })
}

/** Probes give up after a few seconds, and what is too slow for them is not ready. */
const patienceMs = 3_000

/** It can serve: 503 with the reason where storage cannot be read, takes no writes, or takes its time. */
export async function ready({ registry }: Services, ctx: Context) {
  const late = AbortSignal.timeout(patienceMs)
  const io = { signal: AbortSignal.any([ctx.state.io.signal, late]) }
  try {
    // Not every store can be interrupted.
    await Promise.race([registry.check(io), lateness(late)])
    return json({ status: 'ok', storage: 'ok' })
  } catch (error) {
    return json(
      { status: 'unavailable', storage: error instanceof Error ? error.message : 'unknown' },
      {},
      503,
    )
  }
}

function lateness(late: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const refuse = () => reject(new Error(`storage does not answer within ${patienceMs / 1000} s`))
    late.addEventListener('abort', refuse, { once: true })
  })
}
