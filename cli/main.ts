/** The command line: which commands there are, and what their ends mean to a shell. */
import { isNativeError } from 'node:util/types'
import { withoutSecrets } from '../auth/redact.ts'
import { accessCommands } from './access-commands.ts'
import { type Command, columns, command, type Outcome } from './command.ts'
import { imageCommands } from './image-commands.ts'
import { machineCommands } from './machine-commands.ts'
import { jsonOption, settingOptions, storeOptions } from './options.ts'
import { peopleCommands } from './people-commands.ts'
import { recordCommands } from './record-commands.ts'
import { UsageError, unknownWord } from './usage.ts'

// Commands load what they need when they run: what one takes, the others need not wait for.
const commands: Readonly<Record<string, Command>> = {
  serve: command({
    summary: 'run the registry',
    details: ['SIGTERM stops it when the requests under way are done; SIGHUP reads the settings again.'],
    options: settingOptions,
    example: 'slipway serve --listen 127.0.0.1:5000 --data /srv/slipway',
    run: async flags => {
      const { runServe } = await import('./serve.ts')
      await runServe(flags)
      return 'done'
    },
  }),
  check: command({
    summary: 'say what serve would do; changes nothing',
    details: [
      'Reads the settings, looks at the storage and tries the addresses. Ends with 0, or with 3 when serve would',
      'refuse to start. A server that runs on the same folder is named and is no fault: settings can be checked',
      'beside it. On a bucket that is said of any registry that answers at an address of the settings.',
    ],
    options: { ...settingOptions, json: jsonOption },
    example: 'slipway check --config /etc/slipway/slipway.yaml',
    run: async ({ json = false, ...flags }) => {
      const { check } = await import('./check.ts')
      return check(flags, { json, print })
    },
  }),
  doctor: command({
    summary: 'say what this machine and the storage can do',
    details: [
      'Tries out what a registry needs: what the storage really keeps of what it promises, clocks, and what the kernel',
      'does for us. One line for each: ok, limited, or missing; one too for each fault of the settings. Ends with 3 where',
      'something is missing or wrong.',
    ],
    options: { ...storeOptions, json: jsonOption },
    example: 'slipway doctor --storage s3://images/registry',
    run: async flags => {
      const { doctor } = await import('./doctor.ts')
      return doctor(flags, print)
    },
  }),
  ...peopleCommands(print),
  ...machineCommands(print),
  ...accessCommands(print),
  ...recordCommands(print),
  ...imageCommands(print),
}

const statuses = { done: 0, no: 1, failed: 1, misused: 2, found: 3 } as const

async function main(args: readonly string[]): Promise<Outcome> {
  const [name, ...rest] = args
  if (name === undefined) throw new UsageError(`which command? there are: ${names().join(', ')}`)
  if (['help', '--help', '-h'].includes(name)) return help(rest)
  if (name === '--version') return printed(await version())
  const chosen = find(name)
  const asksForHelp = rest.some(arg => arg === '--help' || arg === '-h')
  return asksForHelp ? printed(chosen.help(name, rest)) : chosen.run(rest)
}

async function help([name, ...rest]: readonly string[]): Promise<Outcome> {
  if (name !== undefined) return printed(find(name).help(name, rest))
  const rows = Object.entries(commands).map(([each, { summary }]) => [each, summary] as const)
  return printed(
    [
      `${await version()}: a self-hosted OCI image registry`,
      '',
      'usage: slipway COMMAND [options]',
      '',
      ...columns([...rows, ['help', 'say how a command is used'], ['--version', 'print the version']]),
      '',
      'example:',
      '  slipway serve --help',
    ].join('\n'),
  )
}

function find(name: string): Command {
  const chosen = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (chosen) return chosen
  if (!name.startsWith('-')) throw unknownWord('command', name, names())
  throw new UsageError(`options stand after the command, as in slipway serve ${name}`)
}

function names(): string[] {
  return [...Object.keys(commands), 'help']
}

async function version(): Promise<string> {
  const { readVersion } = await import('../server/version.ts')
  return `slipway ${readVersion()}`
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function printed(text: string): Outcome {
  print(text)
  return 'done'
}

/** Also a SettingsError may be; most commands do not load what it is made of. */
function isMisuse(error: unknown): boolean {
  return (
    error instanceof UsageError || (isNativeError(error) && 'isMisuse' in error && error.isMisuse === true)
  )
}

function report(error: unknown, args: readonly string[]): void {
  const asksForStack = /(?:^|\s)--log-level[= ](?:debug|trace)(?:\s|$)/.test(args.join(' '))
  const message = isNativeError(error) ? error.message : String(error)
  const found = asksForStack && isNativeError(error) ? (error.stack ?? message) : message
  // A message says what it found, and that may have been a secret in the wrong place.
  const text = withoutSecrets(found)
  const lines = asksForStack ? [text] : text.split('\n')
  process.stderr.write(lines.map(line => `slipway: ${line}\n`).join(''))
}

// Whoever reads the output may stop reading: `slipway check | head -1`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
})
const args = process.argv.slice(2)
try {
  process.exitCode = statuses[await main(args)]
} catch (error) {
  report(error, args)
  // Not by exitCode: what the command left running must not keep a failed one alive.
  process.exit(isMisuse(error) ? statuses.misused : statuses.failed)
}
