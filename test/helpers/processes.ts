/** What the kernel says about a server's processes. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { kill } from 'node:process'
import type { TestServer } from './server.ts'
import { until } from './until.ts'

/** The process that a server was started as. */
export function primaryOf({ pid }: Pick<TestServer, 'pid'>): number {
  if (pid === undefined) throw new Error('the server is not ours')
  return pid
}

/** The processes that answer its requests; none when it has ended. */
export function workersOf(server: Pick<TestServer, 'pid'>): readonly number[] {
  const pid = primaryOf(server)
  return read(() => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean))
    .map(Number)
    .sort((a, b) => a - b)
}

/** What a process has open, as the kernel names it, such as `/data/u/x` or `socket:[7]`. */
export function descriptorsOf(pid: number): readonly string[] {
  return read(() => readdirSync(`/proc/${pid}/fd`)).flatMap(fd =>
    read(() => [readlinkSync(`/proc/${pid}/fd/${fd}`)]),
  )
}

/** How many files and sockets this process has open. */
export const openDescriptors = () => readdirSync('/proc/self/fd').length

/** Memory that a process alone keeps, in bytes: pages of files that it maps do not count. */
export function privateBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024
}

/** Memory that a server's processes have now, in bytes; 0 when it has ended. */
export function residentBytes(server: Pick<TestServer, 'pid'>): number {
  return [primaryOf(server), ...workersOf(server)].reduce((sum, pid) => {
    const [status = ''] = read(() => [readFileSync(`/proc/${pid}/status`, 'utf8')])
    return sum + Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024
  }, 0)
}

export function isAlive(pid: number): boolean {
  return read(() => [readFileSync(`/proc/${pid}/stat`, 'utf8')]).some(stat => !/\) Z /.test(stat))
}

/** Kills processes with no chance to clean up; one that has ended already is as dead. */
export function killHard(...pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      kill(pid, 'SIGKILL')
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
    }
  }
}

/** A server that the machine loses at once, and that is seen to be gone. */
export async function crash(server: TestServer): Promise<void> {
  const pids = [primaryOf(server), ...workersOf(server)]
  killHard(...pids)
  await until('the killed server is gone', () => !pids.some(isAlive))
}

/** A process that ends while it is being looked at has nothing. */
function read(look: () => string[]): string[] {
  try {
    return look()
  } catch {
    return []
  }
}
