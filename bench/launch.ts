import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { get } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Io } from '../oci/io.ts'
import type { Store } from './engine.ts'
import { processTree } from './processes.ts'
import type { Launch, ServerKind } from './servers.ts'

export interface Launched {
  readonly pid: number
  readonly port: number
  /** From the start of the program to its first answer. */
  readonly startMs: number
  stop(): Promise<void>
}

const startSeconds = 60
const stopSeconds = 10

/** Starts a server and waits until GET /v2/ answers 200. Throws the end of its log when it does not come to that. */
export async function launch(
  kind: ServerKind,
  program: string,
  folder: string,
  io: Io,
  store?: Store,
): Promise<Launched> {
  await mkdir(join(folder, 'data'), { recursive: true })
  const command = async (port: number) => ({ program, ...(await kind.launch(program, folder, port, store)) })
  return startProgram(kind.id, command, { folder, readyPath: '/v2/' }, io)
}

/** The same for any program that listens on a port. */
export async function startProgram(
  name: string,
  command: (port: number) => Promise<Launch & { readonly program: string }>,
  { folder, readyPath }: { readonly folder: string; readonly readyPath: string },
  io: Io,
): Promise<Launched> {
  const port = await freePort()
  const { program, args, environment } = await command(port)
  const logFile = join(folder, 'log')
  const log = openSync(logFile, 'w')
  const began = performance.now()
  const child = spawn(program, args, {
    cwd: folder,
    stdio: ['ignore', log, log],
    env: { ...process.env, ...environment },
  })
  closeSync(log)
  await once(child, 'spawn')
  const stop = () => stopChild(child)
  try {
    await untilReady(child, port, readyPath, io)
  } catch (error) {
    await stop()
    const lastWords = readFileSync(logFile, 'utf8').trim().split('\n').slice(-3).join(' / ')
    throw new Error(`${name} did not start: ${lastWords.slice(0, 500)}`, { cause: error })
  }
  return { pid: child.pid ?? 0, port, startMs: performance.now() - began, stop }
}

async function untilReady(child: ChildProcess, port: number, path: string, { signal }: Io): Promise<void> {
  const deadline = performance.now() + startSeconds * 1000
  while (!(await isReady(port, path))) {
    signal.throwIfAborted()
    if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}`)
    if (performance.now() > deadline) throw new Error(`no answer in ${startSeconds} s`)
    // Asking more often keeps a core from who is starting.
    await sleep(5)
  }
}

function isReady(port: number, path: string): Promise<boolean> {
  return new Promise(resolve => {
    const request = get({ host: '127.0.0.1', port, path, agent: false }, response => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    request.once('error', () => resolve(false))
  })
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const tree = processTree(child.pid ?? 0)
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const late = setTimeout(() => tree.forEach(kill), stopSeconds * 1000)
  await ended
  clearTimeout(late)
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A TCP server's address is never a string.
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
