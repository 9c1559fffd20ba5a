import { type Command, columns } from './command.ts'
import { UsageError, unknownWord } from './usage.ts'

export interface GroupDescription {
  /** What they are about, in a few words. */
  readonly summary: string
  readonly commands: Readonly<Record<string, Command>>
  /** What is run where no command is named. */
  readonly otherwise?: Command
}

/** Commands that share their first word: `slipway user add`. */
export function commandGroup({ summary, commands, otherwise }: GroupDescription): Command {
  const names = Object.keys(commands)
  const rows = Object.entries(commands).map(([name, each]) => [name, each.summary] as const)

  function find(args: readonly string[]): { readonly name: string; readonly command: Command } | undefined {
    const name = args.find(arg => !arg.startsWith('-'))
    const command = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined
    return name !== undefined && command ? { name, command } : undefined
  }

  return {
    summary,
    help: (group, args) => {
      const found = find(args)
      if (found) return found.command.help(`${group} ${found.name}`, [])
      if (otherwise)
        return [otherwise.help(group, []), '', `also, each with --help:`, ...columns(rows)].join('\n')
      return [
        `usage: slipway ${group} COMMAND [options]`,
        '',
        `${summary[0]?.toUpperCase()}${summary.slice(1)}.`,
        '',
        ...columns(rows),
        '',
        'example:',
        `  slipway ${group} ${names[0]} --help`,
      ].join('\n')
    },
    run: async args => {
      const [name, ...rest] = args
      const command = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined
      if (command) return command.run(rest)
      if (otherwise && (name === undefined || name.startsWith('-'))) return otherwise.run(args)
      if (name === undefined) throw new UsageError(`which command? there are: ${names.join(', ')}`)
      throw unknownWord('command', name, names)
    },
  }
}
