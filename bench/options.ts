import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  isMeasurementName,
  type MeasurementName,
  measurementNames,
  type Storage,
  storageOf,
} from './measurements.ts'
import { fullSizes, quickSizes, type Sizes } from './sizes.ts'

export interface Options {
  readonly storage: Storage
  readonly only: readonly MeasurementName[]
  readonly sizes: Sizes
  readonly markdown: boolean
  readonly copy: boolean
  readonly folder: string
  readonly distribution: string | undefined
}

const namesOn = (storage: Storage) => measurementNames.filter(name => storageOf(name) === storage)

export const usage = `usage: npm run bench -- [options]
  --only NAME,…        ${namesOn('folder').join(', ')};
                       with --storage s3: ${namesOn('s3').join(', ')}
  --storage s3         the servers keep their content in an S3 store, and other things are measured
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
      storage: { type: 'string', default: 'folder' },
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
  const storage = parseStorage(values.storage)
  const names = namesOn(storage)
  return {
    storage,
    only: values.only?.split(',').map(name => parseName(name, names)) ?? names,
    sizes,
    markdown: values.markdown ?? false,
    copy: values.copy ?? false,
    folder: values.dir ?? fileURLToPath(new URL('.', import.meta.url)),
    distribution: values.distribution,
  }
}

function parseStorage(text: string): Storage {
  if (text === 'folder' || text === 's3') return text
  throw new Error(`--storage ${text}: expected folder or s3`)
}

function parseName(name: string, names: readonly MeasurementName[]): MeasurementName {
  if (isMeasurementName(name) && names.includes(name)) return name
  throw new Error(`--only ${name}: expected some of ${names.join(', ')}`)
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
