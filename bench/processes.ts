import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

/** What the kernel has counted for a process and everything below it, read from /proc. */
export interface Memory {
  /** The most that one worker holds: the server itself where it is one process. */
  readonly workerMB: number
  /** All processes together; pages that they share are counted in each. */
  readonly sumMB: number
}

/** Linux shows clock ticks to programs in hundredths of a second, whatever it counts in. */
const ticksPerSecond = 100

export function processTree(root: number): number[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    const parent = Number.isInteger(pid) ? statFields(pid)?.[1] : undefined
    if (parent !== undefined) children.set(Number(parent), [...(children.get(Number(parent)) ?? []), pid])
  }
  const tree = [root]
  for (const pid of tree) tree.push(...(children.get(pid) ?? []))
  return tree
}

/** User and system time of the tree, with that of its children that have ended. */
export function cpuSeconds(root: number): number {
  const ticks = processTree(root).flatMap(pid => statFields(pid)?.slice(11, 15).map(Number) ?? [])
  return ticks.reduce((sum, value) => sum + value, 0) / ticksPerSecond
}

/** User and system time of the programs that this process started and that have ended. */
export function endedChildrenCpuSeconds(): number {
  const [user, system] = statFields(process.pid)?.slice(13, 15).map(Number) ?? []
  return ((user ?? 0) + (system ?? 0)) / ticksPerSecond
}

export function residentMemory(root: number): Memory {
  return memory(root, 'VmRSS')
}

/** The highest resident memory since forgetPeaks. */
export function peakMemory(root: number): Memory {
  return memory(root, 'VmHWM')
}

export function forgetPeaks(root: number): void {
  // proc(5): 5 sets the peak to what the process holds at the moment.
  for (const pid of processTree(root)) writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

function memory(root: number, field: 'VmRSS' | 'VmHWM'): Memory {
  const sizes = processTree(root).map(pid => megabytes(pid, field))
  const workers = sizes.length > 1 ? sizes.slice(1) : sizes
  return { workerMB: Math.max(...workers), sumMB: sizes.reduce((sum, size) => sum + size, 0) }
}

function megabytes(pid: number, field: string): number {
  const status = readText(`/proc/${pid}/status`) ?? ''
  const kibibytes = new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(status)?.[1] ?? 0
  return (Number(kibibytes) * 1024) / 1e6
}

/** The fields of proc(5) stat from the third, the state, on; the second may hold spaces and brackets. */
function statFields(pid: number): string[] | undefined {
  const stat = readText(`/proc/${pid}/stat`)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
}

/** Absent when the process has ended. */
function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
