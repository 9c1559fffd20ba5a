import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { isMeasurementName, type MeasurementName, measurementNames } from './measurements.ts'
import { fullSizes, quickSizes, type Sizes } from './sizes.ts'

export interface Options {
  readonly only: readonly MeasurementName[]
  readonly sizes: Sizes
  readonly markdown: boolean
  readonly copy: boolean
  readonly folder: string
  readonly distribution: string | undefined
}

export const usage = `usage: npm run bench -- [options]
  --only NAME,…        ${measurementNames.join(', ')}
  --rounds N           timings of each server in each measurement (${fullSizes.rounds})
  --quick              one short round, smaller numbers
  --markdown           a table to paste
  --copy               the client of the large GETs copies what it receives
  --dir FOLDER         where the servers keep their data while they are measured
  --distribution FILE  the program, when it is not on the PATH or in Go's bin folder
`

/** Throws an Error that says what is wrong with the arguments; undefined when they ask for help. */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      rounds: { type: 'string' },
      quick: { type: 'boolean' },
      markdown: { type: 'boolean' },
      copy: { type: 'boolean' },
      dir: { type: 'string' },
      distribution: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help) return undefined
  const sizes = withRounds(values.quick ? quickSizes : fullSizes, values.rounds)
  return {
    only: values.only === undefined ? measurementNames : values.only.split(',').map(parseName),
    sizes,
    markdown: values.markdown ?? false,
    copy: values.copy ?? false,
    folder: values.dir ?? fileURLToPath(new URL('.', import.meta.url)),
    distribution: values.distribution,
  }
}

function parseName(name: string): MeasurementName {
  if (isMeasurementName(name)) return name
  throw new Error(`--only ${name}: expected some of ${measurementNames.join(', ')}`)
}

/** Pairs are more than rounds anyway: they become as many, never fewer. */
function withRounds(sizes: Sizes, text: string | undefined): Sizes {
  if (text === undefined) return sizes
  const rounds = parseRounds(text)
  return { ...sizes, rounds, pairs: Math.max(sizes.pairs, rounds) }
}

function parseRounds(text: string): number {
  if (/^[1-9]\d?$/.test(text)) return Number(text)
  throw new Error(`--rounds ${text}: expected a number from 1 to 99`)
}
