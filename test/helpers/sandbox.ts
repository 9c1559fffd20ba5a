import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { isRoot } from './obstacles.ts'
import { leashed } from './programs.ts'

export interface RunOptions {
  readonly input?: Buffer | string
  readonly env?: Readonly<Record<string, string>>
  /** Exit codes that are no failure; 0 alone when left out. */
  readonly accept?: readonly number[]
  /** When it is killed; soon when left out. */
  readonly boundMs?: number
}

export interface Attempt {
  /** The exit code, or the signal that ended it. */
  readonly status: number | NodeJS.Signals | null
  readonly stdout: string
  /** Both outputs, one behind the other, as a person would look for a reason in them. */
  readonly output: string
}

/**
 * A folder in which programs of other people run. What they keep under the home folder, and for root under /run and
 * /var/lib, they keep in here: mounts that only they see. So they find nothing of this machine's and leave nothing.
 */
export interface Sandbox extends AsyncDisposable {
  /** A path in the sandbox. */
  path(...parts: string[]): string
  /** Runs a program to its end and returns what it printed; throws with all its output when it fails. */
  run(program: string, args: readonly string[], options?: RunOptions): Promise<string>
  /** Runs a program to its end, however it ends. */
  attempt(program: string, args: readonly string[], options?: Omit<RunOptions, 'accept'>): Promise<Attempt>
  /** Starts a program that goes on running, and returns when `isReady` first says so. */
  start(program: string, args: readonly string[], isReady: () => Promise<boolean>): Promise<AsyncDisposable>
}

type Command = readonly [string, ...string[]]

const runMs = 30_000
const readyMs = 20_000
const pollMs = 50
const stopMs = 10_000
const privateFolders = ['run', 'var/lib']
const isolate = `${privateFolders.map(each => `mount --bind "$0/${each}" /${each}`).join(' && ')} && exec "$@"`

export async function openSandbox(): Promise<Sandbox> {
  // Short, because the path of a unix socket in it may have 108 characters.
  const root = await mkdtemp(join(tmpdir(), 'slw-'))
  for (const folder of ['home', 'home/run', 'tmp', ...privateFolders]) {
    mkdirSync(join(root, folder), { recursive: true, mode: 0o700 })
  }
  const home = join(root, 'home')
  const environment = {
    HOME: home,
    PATH: process.env.PATH,
    TMPDIR: join(root, 'tmp'),
    XDG_RUNTIME_DIR: join(home, 'run'),
    LC_ALL: 'C',
  }
  const isolated = (program: string, args: readonly string[]): Command =>
    isRoot() ? ['unshare', '--mount', 'sh', '-c', isolate, root, program, ...args] : [program, ...args]
  const launch = ([first, ...rest]: Command, env: RunOptions['env'] = {}) =>
    spawn(first, rest, { cwd: root, env: { ...environment, ...env } })

  const attempt: Sandbox['attempt'] = async (program, args, { input, env, boundMs = runMs } = {}) => {
    const child = launch(isolated(program, args), env)
    const overdue = setTimeout(() => child.kill('SIGKILL'), boundMs)
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    const [stdout, stderr, [code, signal]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>,
    ]).finally(() => clearTimeout(overdue))
    return { status: code ?? signal, stdout, output: `${stdout}${stderr}` }
  }

  return {
    path: (...parts) => join(root, ...parts),

    async run(program, args, { accept = [0], ...options } = {}) {
      const { status, stdout, output } = await attempt(program, args, options)
      if (typeof status === 'number' && accept.includes(status)) return stdout
      throw new Error(`${program} ${args.join(' ')} ended with ${status}:\n${output}`)
    },

    attempt,

    async start(program, args, isReady) {
      const child = launch(leashed(isolated(program, args)))
      const printed: string[] = []
      for (const output of [child.stdout, child.stderr])
        output.on('data', chunk => printed.push(String(chunk)))
      const ended = once(child, 'close')
      try {
        await until(isReady, child)
      } catch (cause) {
        await stop(child, ended)
        throw new Error(`${program} did not start:\n${printed.join('')}`, { cause })
      }
      return { [Symbol.asyncDispose]: () => stop(child, ended) }
    },

    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true, maxRetries: 3 }),
  }
}

async function until(isReady: () => Promise<boolean>, child: ChildProcess): Promise<void> {
  const deadline = AbortSignal.timeout(readyMs)
  while (!(await isReady())) {
    deadline.throwIfAborted()
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`)
    await new Promise(resolve => setTimeout(resolve, pollMs))
  }
}

async function stop(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  child.kill('SIGTERM')
  const overdue = setTimeout(() => child.kill('SIGKILL'), stopMs)
  await ended
  clearTimeout(overdue)
}
