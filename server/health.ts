import type { Context, Services } from './context.ts'
import { json } from './respond.ts'

/** This process answers. */
export async function alive(_: Services, ctx: Context) {
  json(ctx, { status: 'ok' })
}

/** It can serve: 503 with the reason where storage cannot be read or takes no writes. */
export async function ready({ registry }: Services, ctx: Context) {
  try {
    await registry.check(ctx.state.io)
    json(ctx, { status: 'ok', storage: 'ok' })
  } catch (error) {
    ctx.status = 503
    json(ctx, { status: 'unavailable', storage: error instanceof Error ? error.message : 'unknown' })
  }
}
