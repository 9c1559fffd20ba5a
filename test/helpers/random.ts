/** Random data, the same for the same seed everywhere: mulberry32. */
export function randomFrom(seed: number) {
  let state = seed
  function below(bound: number): number {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound
  }
  return {
    oneOf: <Item>(items: readonly [Item, ...Item[]]): Item => items[below(items.length)] ?? items[0],
    /** At least one. */
    several: <Item>(most: number, make: () => Item): Item[] =>
      Array.from({ length: 1 + below(most) }, () => make()),
  }
}
