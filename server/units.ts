/** Sizes and times as people write them. The parsers return undefined for what is none. */

const bytesIn = { '': 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }
const msIn = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

export function parseWholeNumber(text: string): number | undefined {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(number) ? number : undefined
}

/** `4MiB` or `4194304` -> bytes. */
export function parseSize(text: string): number | undefined {
  return multiply(text, bytesIn)
}

/** `24h` -> ms. A bare number is refused: nobody can tell its unit. */
export function parseDuration(text: string): number | undefined {
  return multiply(text, msIn)
}

/** In the largest unit that says it exactly. */
export function formatSize(bytes: number): string {
  const unit = largest(bytesIn, size => bytes >= size && bytes % size === 0) ?? ''
  return `${bytes / bytesIn[unit]}${unit}`
}

/** In the largest unit that says it exactly, but `24h` rather than `1d`. */
export function formatDuration(ms: number): string {
  const unit = largest(msIn, size => ms % size === 0 && (ms >= 2 * size || size < msIn.d)) ?? 's'
  return `${ms / msIn[unit]}${unit}`
}

/** For reading, not for parsing: `11.3GiB`. */
export function roundSize(bytes: number): string {
  const unit = largest(bytesIn, size => bytes >= size) ?? ''
  const number = bytes / bytesIn[unit]
  return `${number < 100 ? Math.round(number * 10) / 10 : Math.round(number)}${unit || ' bytes'}`
}

function multiply(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, digits = '', unit = ''] = /^(\d+)([A-Za-z]*)$/.exec(text) ?? []
  const number = parseWholeNumber(digits)
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined
  if (number === undefined || factor === undefined) return undefined
  return Number.isSafeInteger(number * factor) ? number * factor : undefined
}

/** Tables of units are written in rising order. */
function largest<Unit extends string>(
  units: Readonly<Record<Unit, number>>,
  fits: (size: number) => boolean,
) {
  // Object.keys knows no more than string; the table has no other keys than Unit.
  return (Object.keys(units) as Unit[]).findLast(unit => fits(units[unit]))
}
