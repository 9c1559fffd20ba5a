/** The Mann-Whitney U test: whether one of two samples tends to be larger. */

export interface Comparison {
  /** How often, of all pairs, the first is the larger one; 0.5 where nothing tells them apart. */
  readonly share: number
  /** Two-sided, by the normal approximation with ties and continuity corrected: for samples of twenty and more. */
  readonly p: number
}

export function mannWhitney(first: readonly number[], second: readonly number[]): Comparison {
  const all = [
    ...first.map(value => ({ value, isFirst: true })),
    ...second.map(value => ({ value, isFirst: false })),
  ].sort((a, b) => a.value - b.value)
  let rankSum = 0
  let ties = 0
  for (let from = 0; from < all.length; ) {
    let to = from
    while (to < all.length && all[to]?.value === all[from]?.value) to++
    const count = to - from
    // Those that are equal share the mean of their ranks, which begin with 1.
    const rank = (from + 1 + to) / 2
    rankSum += rank * all.slice(from, to).filter(({ isFirst }) => isFirst).length
    ties += count ** 3 - count
    from = to
  }
  const [n, m] = [first.length, second.length]
  const u = rankSum - (n * (n + 1)) / 2
  const total = n + m
  const variance = ((n * m) / 12) * (total + 1 - ties / (total * (total - 1)))
  const distance = Math.max(0, Math.abs(u - (n * m) / 2) - 0.5)
  return { share: u / (n * m), p: variance === 0 ? 1 : twoSided(distance / Math.sqrt(variance)) }
}

/** The chance of a normal variable to be at least so far from its mean (Abramowitz and Stegun, 7.1.26). */
function twoSided(z: number): number {
  const x = z / Math.SQRT2
  const t = 1 / (1 + 0.327_591_1 * x)
  const series =
    t *
    (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))))
  return Math.min(1, series * Math.exp(-x * x))
}
