import { goalText, ratiosOf, verdicts } from './goals.ts'
import type { Row } from './measure.ts'

interface Column {
  readonly title: string
  readonly width: number
  readonly align: 'left' | 'right'
}

/** Fixed widths, so that each measurement is printed when it is done and all of them still stand in one table. */
const columns: readonly Column[] = [
  { title: 'measurement', width: 46, align: 'left' },
  { title: 'server', width: 22, align: 'left' },
  { title: 'result', width: 15, align: 'right' },
  { title: 'p50 ms', width: 8, align: 'right' },
  { title: 'p99 ms', width: 8, align: 'right' },
  { title: 'CPU', width: 13, align: 'right' },
  { title: 'x', width: 7, align: 'right' },
  { title: 'x CPU', width: 7, align: 'right' },
  { title: 'client', width: 7, align: 'right' },
  { title: 'goal', width: 0, align: 'left' },
]

export interface Table {
  header(): string
  rows(rows: readonly Row[]): string
}

export function terminalTable(): Table {
  const print = (cells: readonly string[]) =>
    columns
      .map(({ width, align }, i) =>
        align === 'left' ? (cells[i] ?? '').padEnd(width) : (cells[i] ?? '').padStart(width),
      )
      .join('  ')
      .trimEnd()
  return {
    header: () => print(columns.map(({ title }) => title)),
    rows: rows => rows.map(row => print(cellsOf(row, rows))).join('\n'),
  }
}

export function markdownTable(): Table {
  const print = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return {
    header: () =>
      `${print(columns.map(({ title }) => title))}\n${print(columns.map(({ align }) => (align === 'left' ? '---' : '--:')))}`,
    rows: rows => rows.map(row => print(cellsOf(row, rows))).join('\n'),
  }
}

function cellsOf(row: Row, rows: readonly Row[]): string[] {
  const { line, server } = row
  if (!('sample' in row)) return [line.title, server.name, 'FAILED', '', '', '', '', '', '', row.failure]
  const { sample } = row
  const ratios = ratiosOf(row, rows)
  const hasSlipway = rows.some(other => other.server.kind.id === 'slipway')
  const goals = verdicts(row, rows)
  const goal = !hasSlipway && row === rows.find(other => other.line === line) ? [goalText(line)] : goals
  return [
    line.title,
    server.name,
    `${amount(sample.value)} ${line.unit}`,
    amount(sample.p50Ms),
    amount(sample.p99Ms),
    sample.cpu === undefined ? '' : `${amount(sample.cpu)} ${line.cpuUnit ?? ''}`,
    amount(ratios.value),
    amount(ratios.cpu),
    sample.clientCores === undefined ? '' : sample.clientCores.toFixed(2),
    [...goal, sample.note].filter(text => text !== undefined && text !== '').join('; '),
  ]
}

/** Three digits that mean something, never an exponent. */
function amount(value: number | undefined): string {
  if (value === undefined) return ''
  if (value >= 100) return value.toFixed(0)
  if (value >= 10) return value.toFixed(1)
  return value >= 1 ? value.toFixed(2) : value.toFixed(3)
}
