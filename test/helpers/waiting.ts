import type { Fault } from '../../oci/errors.ts'
import type { MutationOptions } from '../../storage/object-store.ts'

/** Never aborted. */
export const io = { signal: new AbortController().signal }

/** Options of a mutation that has all the time it needs. */
export const soon = (condition?: MutationOptions['condition']): MutationOptions => ({
  ...io,
  deadlineMs: Date.now() + 60_000,
  ...(condition && { condition }),
})

/** What `toThrow` and `toMatchObject` look for. */
export const fault = (name: Fault) => ({ fault: name })
