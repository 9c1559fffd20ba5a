/** Counts what the sweeps of a run have looked through (canaries.ts), and says so at its end in one line. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Tally {
  readonly sweeps: number
  readonly files: number
  readonly lines: number
}

/** What vitest runs before all tests; what it returns is run after them. */
export function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-sweep-'))
  const report = join(folder, 'report')
  process.env.SWEEP_REPORT = report
  return () => {
    const tallies = readLines(report)
    rmSync(folder, { recursive: true })
    if (tallies.length === 0) return
    const sum = (field: 'sweeps' | 'files' | 'lines') =>
      tallies.reduce((total, tally) => total + tally[field], 0)
    process.stdout.write(
      `sweep: ${sum('sweeps')} looks through ${sum('files')} files and ${sum('lines')} log lines for secrets\n`,
    )
  }
}

function readLines(path: string): readonly Tally[] {
  try {
    const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean)
    return lines.map(line => JSON.parse(line) as Tally)
  } catch {
    return []
  }
}
