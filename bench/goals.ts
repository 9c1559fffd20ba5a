import type { Line, Row, Sample } from './measure.ts'

/** What Slipway wants to reach on a line. Ratios are to distribution's number of the same run. */
export interface Goal {
  readonly ratioAtLeast?: number
  readonly ratioAtMost?: number
  readonly cpuRatioAtMost?: number
  readonly p99RatioAtMost?: number
  readonly valueAtMost?: number
  readonly valueAtLeast?: number
  readonly p99MsAtMost?: number
  /** The title of Slipway's own line that ratios are to, instead of distribution's. */
  readonly ownLine?: string
}

export interface Ratios {
  readonly value: number | undefined
  readonly cpu: number | undefined
}

/** Against distribution 3 on the same line, or against the server's own other line where the goal says so. */
export function ratiosOf(row: Row, rows: readonly Row[]): Ratios {
  if (!('sample' in row)) return { value: undefined, cpu: undefined }
  const base = baseOf(row, rows)
  return { value: valueRatio(row.sample, base), cpu: ratio(row.sample.cpu, base?.cpu) }
}

/** Each part of the goal with whether it is met; empty for other servers than Slipway, and for lines without goal. */
export function verdicts(row: Row, rows: readonly Row[]): string[] {
  const { goal } = row.line
  if (goal === undefined || row.server.kind.id !== 'slipway' || !('sample' in row)) return []
  const base = baseOf(row, rows)
  const { sample } = row
  return [
    judge('', '>=', goal.ratioAtLeast, valueRatio(sample, base), 'x'),
    judge('', '<=', goal.ratioAtMost, valueRatio(sample, base), 'x'),
    judge('CPU ', '<=', goal.cpuRatioAtMost, ratio(sample.cpu, base?.cpu), 'x'),
    judge('p99 ', '<=', goal.p99RatioAtMost, ratio(sample.p99Ms, base?.p99Ms), 'x'),
    judge('', '<=', goal.valueAtMost, sample.value, ` ${row.line.unit}`),
    judge('', '>=', goal.valueAtLeast, sample.value, ` ${row.line.unit}`),
    judge('p99 ', '<=', goal.p99MsAtMost, sample.p99Ms, ' ms'),
  ].filter(verdict => verdict !== undefined)
}

/** The goal in words, for runs without Slipway. */
export function goalText({ goal }: Line): string {
  if (goal === undefined) return ''
  const parts = [
    goal.ratioAtLeast !== undefined && `>= ${goal.ratioAtLeast}x`,
    goal.ratioAtMost !== undefined && `<= ${goal.ratioAtMost}x`,
    goal.cpuRatioAtMost !== undefined && `CPU <= ${goal.cpuRatioAtMost}x`,
    goal.p99RatioAtMost !== undefined && `p99 <= ${goal.p99RatioAtMost}x`,
    goal.valueAtMost !== undefined && `<= ${goal.valueAtMost}`,
    goal.valueAtLeast !== undefined && `>= ${goal.valueAtLeast}`,
    goal.p99MsAtMost !== undefined && `p99 <= ${goal.p99MsAtMost} ms`,
  ]
  return `Slipway's goal: ${parts.filter(part => part !== false).join(', ')}`
}

function judge(
  label: string,
  sense: '>=' | '<=',
  limit: number | undefined,
  actual: number | undefined,
  unit: string,
): string | undefined {
  if (limit === undefined) return undefined
  const wanted = `${label}${sense} ${limit}${unit}`
  if (actual === undefined) return `${wanted}: nothing to compare with`
  return `${wanted}: ${(sense === '>=' ? actual >= limit : actual <= limit) ? 'met' : 'MISSED'}`
}

function baseOf(row: Row, rows: readonly Row[]): Sample | undefined {
  const ownLine = row.line.goal?.ownLine
  const base = rows.find(other =>
    ownLine === undefined
      ? other.line === row.line && other.server.kind.id === 'distribution'
      : other.line.title === ownLine && other.server === row.server,
  )
  return base !== undefined && 'sample' in base ? base.sample : undefined
}

/** The median of the ratios of pairs says more than the ratio of two medians: what disturbs often meets both of a pair. */
function valueRatio(sample: Sample, base: Sample | undefined): number | undefined {
  return sample.pairRatio ?? ratio(sample.value, base?.value)
}

function ratio(value: number | undefined, base: number | undefined): number | undefined {
  return value === undefined || base === undefined || base === 0 ? undefined : value / base
}
