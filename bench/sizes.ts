/** How much of everything; every title in the output is made from these, so that no line says more than was done. */
export interface Sizes {
  readonly rounds: number
  readonly wrkSeconds: number
  readonly getSeconds: number
  /** Servers that are timed in pairs, again and again: many short turns, as what disturbs comes and goes. */
  readonly pairs: number
  readonly pairSeconds: number
  readonly distinctTokens: number
  readonly loginSeconds: number
  readonly smallPushSeconds: number
  readonly blobBytes: number
  readonly hugeBytes: number
  /** Of a layer whose requests to the store are counted. */
  readonly giantBytes: number
  /** Blobs of blobBytes in one timing, by connections. */
  readonly pushes: Readonly<Record<1 | 4 | 16, number>>
  readonly tags: number
  readonly manyTags: number
  readonly repositories: number
  /** Tags pushed to be timed: to Slipway, and to the others, of which some need minutes for the first number. */
  readonly pushedTags: number
  readonly pushedTagsOfPeers: number
}

export const fullSizes: Sizes = {
  rounds: 3,
  wrkSeconds: 3,
  getSeconds: 2,
  pairs: 7,
  pairSeconds: 2,
  distinctTokens: 1000,
  loginSeconds: 10,
  // So long that a log that becomes files later is filled, and emptied, several times.
  smallPushSeconds: 10,
  blobBytes: 100_000_000,
  hugeBytes: 1_000_000_000,
  giantBytes: 2 ** 30,
  pushes: { 1: 3, 4: 12, 16: 16 },
  tags: 10_000,
  manyTags: 100_000,
  repositories: 2000,
  pushedTags: 10_000,
  pushedTagsOfPeers: 1000,
}

export const quickSizes: Sizes = {
  ...fullSizes,
  rounds: 1,
  wrkSeconds: 1,
  getSeconds: 0.5,
  pairs: 1,
  pairSeconds: 1,
  loginSeconds: 3,
  smallPushSeconds: 1,
  hugeBytes: 200_000_000,
  giantBytes: 100_000_000,
  pushes: { 1: 2, 4: 8, 16: 16 },
  manyTags: 20_000,
  pushedTags: 2000,
  pushedTagsOfPeers: 200,
}

export function bytesText(bytes: number): string {
  if (bytes % 2 ** 30 === 0) return `${bytes / 2 ** 30} GiB`
  if (bytes >= 1e9) return `${bytes / 1e9} GB`
  return bytes >= 1e6 ? `${bytes / 1e6} MB` : `${bytes / 1024} KiB`
}

export function countText(count: number): string {
  return count.toLocaleString('en')
}
