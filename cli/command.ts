/** What a command is made of; its --help is printed from that. */

import { type ParseArgsOptionDescriptor, parseArgs } from 'node:util'
import { codeOf } from '../oci/errors.ts'
import { UsageError, unknownWord } from './usage.ts'

/** `found`: a command that looks for something amiss has found it. `no`: the answer to what it was asked. */
export type Outcome = 'done' | 'found' | 'no'

export interface Option extends ParseArgsOptionDescriptor {
  /** What stands for its value in --help. */
  readonly value?: string
  /** All values that it may have; any where nothing is said. */
  readonly values?: readonly string[]
  readonly does: string
}

type Options = Readonly<Record<string, Option>>
type Values<O extends Options> = ReturnType<typeof parseArgs<{ options: O }>>['values']

export interface CommandDescription<O extends Options> {
  /** What it does, in a few words. */
  readonly summary: string
  /** The rest of what to know, if there is any, in whole lines. */
  readonly details?: readonly string[]
  readonly options: O
  /** What it takes beside options, as --help names it: `REF`; the last one may be repeated: `TAG…`. */
  readonly operands?: readonly string[]
  readonly example: string
  run(values: Values<O>, operands: readonly string[]): Promise<Outcome>
}

export interface Command {
  readonly summary: string
  /** `args` are what follows the name: in a group of commands, which of them is meant. */
  help(name: string, args: readonly string[]): string
  /** Throws UsageError when the arguments are not the command's. */
  run(args: readonly string[]): Promise<Outcome>
}

const helpOption = { type: 'boolean', short: 'h', does: 'this text' } as const satisfies Option

export function command<const O extends Options>(description: CommandDescription<O>): Command {
  const { summary, details = [], options, operands = [], example, run } = description
  const all = { ...options, help: helpOption }
  return {
    summary,
    help: name =>
      [
        ['usage: slipway', name, '[options]', ...operands].join(' '),
        '',
        `${summary[0]?.toUpperCase()}${summary.slice(1)}.`,
        ...details,
        '',
        ...columns(
          Object.entries<Option>(all).map(([option, about]) => [spelling(option, about), about.does]),
        ),
        '',
        'example:',
        `  ${example}`,
      ].join('\n'),
    run: async args => {
      const { values, positionals } = parse(args, options, operands)
      refuseStrangers(values, options)
      return run(values, counted(positionals, operands))
    },
  }
}

/** Lines of two columns, indented. */
export function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
}

function spelling(name: string, { short, value }: Option): string {
  return `${short ? `-${short}, ` : ''}--${name}${value ? ` ${value}` : ''}`
}

function parse<const O extends Options>(
  args: readonly string[],
  options: O,
  operands: readonly string[],
): { readonly values: Values<O>; readonly positionals: readonly string[] } {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: operands.length > 0 })
  } catch (error) {
    throw explain(error, options) ?? error
  }
}

function refuseStrangers(values: Readonly<Record<string, unknown>>, options: Options): void {
  for (const [name, { values: known }] of Object.entries(options)) {
    const value = values[name]
    if (known && typeof value === 'string' && !known.includes(value))
      throw new UsageError(`--${name}: expected one of ${known.join(', ')}, found ${JSON.stringify(value)}`)
  }
}

function counted(given: readonly string[], operands: readonly string[]): readonly string[] {
  const expected = operands.join(' ')
  const missing = operands[given.length]
  if (missing !== undefined)
    throw new UsageError(`${missing.replace('…', '')} is missing: expected ${expected}`)
  const isOpen = operands.at(-1)?.endsWith('…')
  const extra = isOpen ? undefined : given[operands.length]
  if (extra !== undefined) throw new UsageError(`unexpected argument ${extra}: expected ${expected}`)
  return given
}

/** parseArgs's complaint in one line of ours; undefined when it is something else. */
function explain(error: unknown, options: Options): UsageError | undefined {
  const code = codeOf(error)
  const [, quoted = ''] = (error instanceof Error && /'([^']*)'/.exec(error.message)) || []
  const [option = quoted] = /--?[\w-]+/.exec(quoted) ?? []
  const known = Object.keys(options).map(name => `--${name}`)
  switch (code) {
    case 'ERR_PARSE_ARGS_UNKNOWN_OPTION':
      return unknownWord('option', option, [...known, '--help'])
    case 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE': {
      const { type, value } = options[option.slice(2)] ?? {}
      return new UsageError(
        type === 'string' ? `${option} needs a value: ${option} ${value}` : `${option} takes no value`,
      )
    }
    case 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL':
      return new UsageError(
        `unexpected argument ${quoted}: this command takes options only: ${known.join(', ')}`,
      )
    default:
      return undefined
  }
}
