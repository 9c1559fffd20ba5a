import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { leaksBelow, leaksInLog, sweep } from './canaries.ts'
import { program } from './program.ts'
import { compiledOnce, leashed } from './programs.ts'

/** One line of the server's log, as it was printed. */
export interface LogLine {
  readonly msg?: string
  readonly [field: string]: unknown
}

export interface TestServer extends AsyncDisposable {
  /** Such as `http://127.0.0.1:41234`. */
  readonly address: string
  /** The address as clients write it before a repository's name: `127.0.0.1:41234`. */
  readonly host: string
  /** Where it keeps what it is sent; undefined for a registry that somebody else started. */
  readonly data: string | undefined
  readonly pid: number | undefined
  readonly log: readonly LogLine[]
  /** False when TEST_REGISTRY names another registry to aim the tests at. */
  readonly isOurs: boolean
  /** Ends the server as an operator does and returns its exit code; what it stored stays until the disposal. */
  stop(): Promise<number | null>
}

export interface ServerOptions {
  /** Serve this folder, and leave it behind; a folder of its own otherwise. */
  readonly data?: string
  /** Listen here; on a free port of the loopback interface otherwise. */
  readonly listen?: string
  readonly env?: Readonly<Record<string, string>>
  readonly args?: readonly string[]
  /** How long it may take to listen. */
  readonly startupMs?: number
}

const usualStartupMs = 15_000
const shutdownMs = 10_000

/** A real server in its own process, on a free port of the loopback interface. */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const running = process.env.TEST_REGISTRY
  if (running) return foreignServer(running)
  const folder = options.data ?? (await mkdtemp(join(tmpdir(), 'slipway-data-')))
  const { listen = '127.0.0.1:0' } = options
  const args = [program, 'serve', '--listen', listen, ...(options.args ?? [])]
  const [first, ...rest] = leashed([process.execPath, ...args])
  const child = spawn(first, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Not as a flag: that would be stronger than a bucket which the test names.
    env: { ...process.env, ...compiledOnce, SLIPWAY_DATA: folder, ...options.env },
  })
  const exited = once(child, 'exit')
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM')
      const overdue = setTimeout(() => child.kill('SIGKILL'), shutdownMs)
      await exited
      clearTimeout(overdue)
    }
    return child.exitCode
  }
  const remove = async () => {
    if (options.data === undefined) await rm(folder, { recursive: true, force: true })
  }
  const log: LogLine[] = []
  try {
    const address = await listening(child, log, options.startupMs ?? usualStartupMs)
    return {
      address,
      host: new URL(address).host,
      data: folder,
      pid: child.pid,
      log,
      isOurs: true,
      stop,
      async [Symbol.asyncDispose]() {
        await stop()
        const leaks = [...leaksInLog(log), ...leaksBelow(folder)]
        await remove()
        sweep(leaks)
      },
    }
  } catch (error) {
    await stop()
    await remove()
    throw error
  }
}

function foreignServer(host: string): TestServer {
  return {
    address: `http://${host}`,
    host,
    data: undefined,
    pid: undefined,
    log: [],
    isOurs: false,
    stop: async () => null,
    [Symbol.asyncDispose]: async () => {},
  }
}

/** Collects what the server prints, as long as it runs, and resolves with the address it says it listens on. */
function listening(child: ChildProcess, log: LogLine[], startupMs: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const fail = (what: string) =>
    reject(new Error(`${what}; it printed:\n${log.map(line => JSON.stringify(line)).join('\n')}`))
  const overdue = setTimeout(() => fail(`the server did not listen within ${startupMs} ms`), startupMs)
  for (const output of [child.stdout, child.stderr]) {
    if (!output) continue
    createInterface({ input: output }).on('line', text => {
      const line = parseLine(text)
      log.push(line)
      if (line.msg === 'listening' && typeof line.address === 'string') resolve(line.address)
    })
  }
  child.once('error', reject)
  child.once('close', code => fail(`the server ended with ${code} before it listened`))
  return promise.finally(() => clearTimeout(overdue))
}

function parseLine(text: string): LogLine {
  try {
    return JSON.parse(text) as LogLine
  } catch {
    return { msg: text }
  }
}
