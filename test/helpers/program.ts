import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { leaksIn, secret, sweep } from './canaries.ts'
import { compiledOnce } from './programs.ts'

/** What Node is started with to run `slipway`. */
export const program = fileURLToPath(new URL('../../cli/slipway.js', import.meta.url))

export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** What it reads from standard input; nothing otherwise. */
  readonly input?: string
}

/** Runs `slipway` to its end, with nothing in its environment that it reads but what is given. */
export async function slipway(
  args: readonly string[],
  { cwd, env = {}, input = '' }: RunOptions = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [program, ...args], {
    env: { ...compiledOnce, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    // Twenty at once on a busy machine take longer than one.
    timeout: 45_000,
    ...(cwd === undefined ? {} : { cwd }),
  })
  const status = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  // Who reads none of it may have ended by now.
  child.stdin.on('error', () => {}).end(input)
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  const name = args
    .slice(0, 2)
    .filter(word => /^[a-z]+$/.test(word))
    .join(' ')
  if (showing.has(name)) secret(stdout.trim())
  sweep([...leaksIn(stdout, `the output of ${name}`), ...leaksIn(stderr, `what ${name} says beside`)])
  return { status: await status, stdout, stderr }
}

/** Commands that print a secret, and nothing else. */
const showing: ReadonlySet<string> = new Set(['user add', 'user passwd', 'token create'])
