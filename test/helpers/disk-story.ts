/** What the store asks of the file system, in order: what a power cut would leave can be told from it. */
import fs from 'node:fs'
import { dirname, relative } from 'node:path'
import { vi } from 'vitest'
import { file } from '../../storage/durable.ts'

export type DiskEvent =
  /** A file or folder and what is in it has reached the disk. */
  | { readonly kind: 'synced'; readonly path: string; readonly begun: number }
  | { readonly kind: 'named'; readonly from: string; readonly path: string; readonly begun: number }
  | { readonly kind: 'made'; readonly path: string }
  | { readonly kind: 'acknowledged' }

export interface DiskStory {
  /** In the order in which they ended; `begun` is how many had ended when one began. Paths are below the root. */
  readonly events: readonly DiskEvent[]
  acknowledge(): void
  /** Forgets what has happened, but not what is open. */
  begin(): void
}

/** Listens until the test is over; must be called before the store is opened. */
export function listenToDisk(root: string): DiskStory {
  const events: DiskEvent[] = []
  const paths = new Map<number, string>()
  const below = (path: unknown) => relative(root, String(path))
  const { open, fsync, rename, link, mkdir } = file
  vi.spyOn(file, 'open').mockImplementation(async (path, flags, mode) => {
    const fd = await open(path, flags, mode)
    paths.set(fd, below(path))
    return fd
  })
  const { openSync } = fs
  vi.spyOn(fs, 'openSync').mockImplementation((path, flags, mode) => {
    const fd = openSync(path, flags, mode)
    paths.set(fd, below(path))
    return fd
  })
  vi.spyOn(file, 'fsync').mockImplementation(async fd => {
    const begun = events.length
    await fsync(fd)
    events.push({ kind: 'synced', path: paths.get(fd) ?? 'unknown', begun })
  })
  vi.spyOn(file, 'mkdir').mockImplementation(async (path, mode) => {
    await mkdir(path, mode)
    events.push({ kind: 'made', path: below(path) })
  })
  const naming = (act: (from: string, to: string) => Promise<void>) => async (from: unknown, to: unknown) => {
    const begun = events.length
    await act(String(from), String(to))
    events.push({ kind: 'named', from: below(from), path: below(to), begun })
  }
  vi.spyOn(file, 'rename').mockImplementation(naming(rename))
  vi.spyOn(file, 'link').mockImplementation(naming(link))
  return {
    events,
    acknowledge: () => events.push({ kind: 'acknowledged' }),
    begin: () => {
      events.length = 0
    },
  }
}

/** What was acknowledged and a power cut could take, one line each. */
export function unsafe(events: readonly DiskEvent[]): readonly string[] {
  return events.flatMap((event, at) => {
    if (event.kind !== 'named' && event.kind !== 'made') return []
    const acknowledged = events.findIndex(({ kind }, later) => kind === 'acknowledged' && later > at)
    if (acknowledged < 0) return [`${event.path} came after the last answer`]
    const folder = dirname(event.path) === '.' ? '' : dirname(event.path)
    const synced = events
      .slice(0, acknowledged)
      .some(each => each.kind === 'synced' && each.path === folder && each.begun > at)
    const content =
      event.kind === 'made' ||
      events.slice(0, event.begun).some(each => each.kind === 'synced' && each.path === event.from)
    return [
      ...(content ? [] : [`${event.path} got its name before its bytes were on the disk`]),
      ...(synced ? [] : [`${event.path} was acknowledged before its name was on the disk`]),
    ]
  })
}
