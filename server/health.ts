import { json } from './answer.ts'
import type { Context, Services } from './context.ts'

/** This process answers. */
export async function alive() {
  return json({ status: 'ok' })
}

/** It can serve: 503 with the reason where storage cannot be read or takes no writes. */
export async function ready({ registry }: Services, ctx: Context) {
  try {
    await registry.check(ctx.state.io)
    return json({ status: 'ok', storage: 'ok' })
  } catch (error) {
    return json(
      { status: 'unavailable', storage: error instanceof Error ? error.message : 'unknown' },
      {},
      503,
    )
  }
}
