import { setTimeout as wait } from 'node:timers/promises'
import type { Folders } from './durable.ts'
import type { FolderRecords } from './folder-records.ts'
import { freeBytes } from './free-space.ts'
import { mayBeLogged } from './layout.ts'
import { syncFiles } from './sync-files.ts'
import { type WalFiling, walFiling } from './wal-filing.ts'
import { headerBytes, segmentBytes, walFolder } from './wal-format.ts'
import { type OwnedSegment, type OwnedSegments, ownedSegments } from './wal-segments.ts'
import { type Segment, type WalView, walView } from './wal-view.ts'
import type { Lease } from './wal-writer.ts'

/** What the owner of a folder does for the log: it lends segments to writers, and makes files of what is in them. */
export interface WalOwner {
  /** Called when the folder is owned. What the owner before has left is read from where it is, and becomes files. */
  begin(): Promise<void>
  /**
   * A segment for a client alone, until it is sealed; not the one that it holds as it asks: who sleeps before it writes to
   * that must not find it begun anew. Undefined: not now.
   */
  lease(client: object, holding: number | undefined): Promise<Lease | undefined>
  /** Nothing that this client adds from now on counts. */
  release(client: object): void
  /** Makes files of everything. What cannot be made one stays for the next owner. */
  end(): Promise<void>
  /** Records as they are for who decides: what the log holds for a key is its file, as soon as it is read. */
  decided(isDeciding: (key: string) => boolean): FolderRecords
}

export interface WalOwnerOptions {
  readonly synced: boolean
  readonly folders: Folders
}

interface Loan {
  /** Undefined: of a run before this one. */
  readonly client: object | undefined
  state: 'lent' | 'sealed' | 'empty'
  /** Since when it has been in this state. */
  sinceMs: number
  /** Where its last frame ended, and since when. */
  end: number
  endMs: number
}

interface Open {
  readonly segments: OwnedSegments
  readonly view: WalView
  readonly filing: WalFiling
}

/** A client fills one segment while another is made files, and a third when that takes long; then it does without. */
const loansEach = 3
const tickMs = 200
/** A segment is made files when its writer has added nothing for so long, */
const quietMs = 1_000
/** or has had it for so long: a writer at full speed is faster. */
const longestMs = 10_000
/** An empty segment is kept for its client for so long. */
const keptMs = 10_000
/** So many segments must fit into what is free, or there is no log: its space is for blobs. */
const roomFor = 32
/** After this time files are tried again that could not be made. */
const againMs = 1_000

export function walOwner(
  root: string,
  records: FolderRecords,
  { synced, folders }: WalOwnerOptions,
): WalOwner {
  let open: Open | undefined
  let ending = new AbortController()
  let isDeciding: (key: string) => boolean = () => false
  let ticking: NodeJS.Timeout | undefined
  let working: Promise<void> | undefined
  const loans = new Map<OwnedSegment, Loan>()
  const gone = new WeakSet<object>()

  const find = ({ number, generation }: Segment) =>
    loans.keys().find(each => each.number === number && each.generation === generation)
  const loansIn = (state: Loan['state']) => [...loans].filter(([, loan]) => loan.state === state)
  const loansOf = (client: object) => [...loans].filter(([, loan]) => loan.client === client)

  function lend(segment: OwnedSegment, client: object | undefined): void {
    const now = Date.now()
    loans.set(segment, { client, state: 'lent', sinceMs: now, end: headerBytes, endMs: now })
  }

  function seal(segment: OwnedSegment): void {
    const loan = loans.get(segment)
    if (loan?.state !== 'lent') return
    loan.state = 'sealed'
    open?.segments.seal(segment)
    working ??= work().finally(() => {
      working = undefined
    })
  }

  /** What was filled by a process that may still be there, and has slept, is filled by nobody else. */
  function takeBack({ segments }: Open, segment: OwnedSegment, loan: Loan): void {
    if (loan.client && !gone.has(loan.client)) {
      loan.state = 'empty'
      loan.sinceMs = Date.now()
      return
    }
    remove(segments, segment)
  }

  async function work(): Promise<void> {
    while (open && loansIn('sealed').length > 0) {
      const done = await round(open).then(
        () => true,
        () => false,
      )
      if (ending.signal.aborted) return
      // The disk may be full. What is in the log can be read all the same.
      if (!done) await wait(againMs, undefined, { signal: ending.signal }).catch(() => {})
    }
  }

  async function round(using: Open): Promise<void> {
    const { segments, filing } = using
    const all = loansIn('sealed')
    const keys: string[] = []
    for (const [segment] of all) keys.push(...(await filing.fileAll(segment)))
    if (synced && keys.length > 0) await syncFiles(root, keys)
    for (const [segment, loan] of all) {
      await segments.empty(segment)
      filing.release(segment)
      takeBack(using, segment, loan)
    }
  }

  function tick(): void {
    if (!open) return
    const { segments } = open
    const now = Date.now()
    for (const [segment, loan] of loansIn('lent')) {
      const end = segments.endOf(segment)
      if (end > loan.end) {
        loan.end = end
        loan.endMs = now
      }
      const isLeft = now - loan.endMs >= (end > segmentBytes / 2 ? tickMs : quietMs)
      if ((end > headerBytes && isLeft) || now - loan.sinceMs > longestMs) seal(segment)
    }
    for (const [segment, loan] of loansIn('empty')) if (now - loan.sinceMs > keptMs) remove(segments, segment)
    if (loans.size === 0) stopTicking()
  }

  function remove(segments: OwnedSegments, segment: OwnedSegment): void {
    loans.delete(segment)
    segments.remove(segment)
  }

  function stopTicking(): void {
    clearInterval(ticking)
    ticking = undefined
  }

  return {
    async begin() {
      ending = new AbortController()
      await folders.ensure(`${root}/${walFolder}`)
      const hasRoom = async (bytes: number) => (await freeBytes(root)) > roomFor * bytes
      const segments = ownedSegments(root, { synced, folders, hasRoom })
      const left = segments.adopt()
      const view = walView(root)
      open = {
        segments,
        view,
        filing: walFiling({ root, segments, view, find, isDeciding: key => isDeciding(key) }),
      }
      for (const segment of left) {
        lend(segment, undefined)
        seal(segment)
      }
    },

    async lease(client, holding) {
      if (!open || ending.signal.aborted) return undefined
      const { segments } = open
      const mine = loansOf(client)
      const isFree = (segment: OwnedSegment, { state }: Loan) =>
        state === 'empty' && segment.number !== holding
      const empty = mine.find(each => isFree(...each))?.[0]
      const segment = empty ?? (mine.length < loansEach ? await segments.create() : undefined)
      if (!segment) return undefined
      loans.delete(segment)
      await segments.renew(segment).catch(error => {
        segments.remove(segment)
        throw error
      })
      lend(segment, client)
      ticking ??= setInterval(tick, tickMs).unref()
      if (gone.has(client) || ending.signal.aborted) seal(segment)
      return { number: segment.number, generation: segment.generation }
    },

    release(client) {
      gone.add(client)
      for (const [segment, loan] of loansOf(client)) {
        if (loan.state === 'empty' && open) takeBack(open, segment, loan)
        else seal(segment)
      }
    },

    async end() {
      ending.abort()
      stopTicking()
      for (const [segment, loan] of loans) {
        if (loan.client) gone.add(loan.client)
        seal(segment)
      }
      await working
      // What is full still stays for the next owner.
      if (open && loans.size > 0) await round(open).catch(() => {})
      for (const [segment] of loansIn('empty')) open?.segments.remove(segment)
      loans.clear()
      open?.segments.close()
      open?.view.close()
      open = undefined
    },

    decided(deciding) {
      isDeciding = deciding
      const after = async <T>(key: string, done: Promise<T>): Promise<T> => {
        const result = await done
        if (mayBeLogged(key)) await open?.filing.forget(key)
        return result
      }
      return {
        ...records,
        async read(key) {
          if (mayBeLogged(key)) open?.filing.fileNow(key)
          return records.read(key)
        },
        replace: (key, ...args) => after(key, records.replace(key, ...args)),
        remove: (key, ...args) => after(key, records.remove(key, ...args)),
      }
    },
  }
}
