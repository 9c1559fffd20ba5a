/** The store's clock and ours. */

/** The store's may be so far from ours. */
export const mostApartMs = 120_000
/** Date has whole seconds. */
const dateStepMs = 1_000

/** How far the store's clock is ahead of ours, which showed this before it was asked and after: less than nothing where it is behind. */
export function aheadMs(beforeMs: number, theirsMs: number, afterMs: number): number {
  if (theirsMs > afterMs) return theirsMs - afterMs
  return Math.min(0, theirsMs + dateStepMs - beforeMs)
}

export const apartText = (ms: number): string =>
  `${Math.round(Math.abs(ms) / 1000)} s ${ms < 0 ? 'behind ours' : 'ahead of ours'}`
