import { setTimeout as wait } from 'node:timers/promises'
import type { Folders } from './durable.ts'
import type { FolderRecords } from './folder-records.ts'
import { freeBytes } from './free-space.ts'
import { syncFiles } from './sync-files.ts'
import { type DecidedRecords, decidedRecords } from './wal-decisions.ts'
import { type WalFiling, walFiling } from './wal-filing.ts'
import { headerBytes, segmentBytes } from './wal-format.ts'
import { type OwnedSegment, type OwnedSegments, ownedSegments } from './wal-segments.ts'
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
  /** The records for who decides about conditions. */
  readonly decisions: DecidedRecords
  /** Why files cannot be made of the log now, or what of it could not be read. */
  fault(): unknown
}

export interface WalOwnerOptions {
  readonly synced: boolean
  readonly folders: Folders
  /** Whether somebody decides about a key now. */
  isDeciding(key: string): boolean
}

/**
 * `lent`: its client may add to it. `ended`: to be sealed. `sealed`: to be made files. `filed`: they are durable. `empty`:
 * it can be lent again, to the same client.
 */
interface Loan {
  /** Undefined: of a run before this one. */
  readonly client: object | undefined
  state: 'lent' | 'ended' | 'sealed' | 'filed' | 'empty'
  /** Since when it is lent, or empty. */
  sinceMs: number
  /** Where its last frame ended, and since when. */
  end: number
  endMs: number
}

interface Open {
  readonly segments: OwnedSegments
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
/** After this time is tried again what failed. */
const againMs = 1_000

export function walOwner(
  root: string,
  records: FolderRecords,
  { synced, folders, isDeciding }: WalOwnerOptions,
): WalOwner {
  let open: Open | undefined
  let ending = new AbortController()
  let ticking: NodeJS.Timeout | undefined
  /** There was no room for another segment: a quota is not seen before. */
  let refusedMs = Number.NEGATIVE_INFINITY
  let working: Promise<void> | undefined
  /** Of this round, and of the last that has ended. */
  let failing: unknown
  let failure: unknown
  const loans = new Map<OwnedSegment, Loan>()
  const gone = new WeakSet<object>()

  const loansIn = (...states: readonly Loan['state'][]) =>
    [...loans].filter(([, { state }]) => states.includes(state))
  const loansOf = (client: object) => [...loans].filter(([, loan]) => loan.client === client)
  const standing = () => [...loans.keys()].filter(({ generation }) => generation !== 0)
  const growing = () => loansIn('lent', 'ended').map(([segment]) => segment)
  const isGone = ({ client }: Loan) => client === undefined || gone.has(client)

  function lend(segment: OwnedSegment, client: object | undefined, state: Loan['state']): void {
    const now = Date.now()
    loans.set(segment, { client, state, sinceMs: now, end: headerBytes, endMs: now })
  }

  /** What has to be done, again and again until it is; what fails does not keep up the rest. */
  function work(): void {
    working ??= workOff().finally(() => {
      working = undefined
    })
  }

  async function workOff(): Promise<void> {
    while (open && !ending.signal.aborted && loansIn('ended', 'sealed', 'filed').length > 0) {
      failing = undefined
      await round(open)
      failure = failing
      if (failure !== undefined) await wait(againMs, undefined, { signal: ending.signal }).catch(() => {})
    }
  }

  async function attempt(act: () => void | Promise<void>): Promise<void> {
    try {
      await act()
    } catch (error) {
      failing = error
    }
  }

  async function round({ segments, filing }: Open): Promise<void> {
    for (const [segment, loan] of loansIn('ended'))
      await attempt(() => {
        segments.seal(segment)
        loan.state = 'sealed'
      })
    await attempt(() => makeFiles(filing))
    for (const [segment, loan] of loansIn('filed'))
      await attempt(async () => {
        await segments.empty(segment)
        loan.state = 'empty'
        loan.sinceMs = Date.now()
      })
    // What was filled by a process that may have slept since is filled by nobody else.
    for (const [segment, loan] of loansIn('empty'))
      if (isGone(loan)) await attempt(() => remove(segments, segment))
  }

  function remove(segments: OwnedSegments, segment: OwnedSegment): void {
    segments.remove(segment)
    loans.delete(segment)
  }

  async function makeFiles(filing: WalFiling): Promise<void> {
    const done: [OwnedSegment, Loan][] = []
    const keys: string[] = []
    for (const [segment, loan] of loansIn('sealed'))
      await attempt(async () => {
        keys.push(...(await filing.fileAll(segment)))
        done.push([segment, loan])
      })
    try {
      if (synced && keys.length > 0) await syncFiles(root, keys)
    } catch (error) {
      // A disk says once that it has lost what was written, and forgets it then.
      filing.fileAgain()
      throw error
    }
    for (const [, loan] of done) loan.state = 'filed'
  }

  async function create(segments: OwnedSegments): Promise<OwnedSegment | undefined> {
    if (Date.now() - refusedMs < keptMs) return undefined
    try {
      return await segments.create()
    } catch (error) {
      refusedMs = Date.now()
      throw error
    }
  }

  /** Looks what has been left alone. What fails is tried again at the next look. */
  function tick({ segments }: Open): void {
    const now = Date.now()
    for (const [{ frames }, loan] of loansIn('lent')) {
      quietly(() => frames.advance())
      if (frames.end > loan.end) {
        loan.end = frames.end
        loan.endMs = now
      }
      const isQuiet = now - loan.endMs >= (frames.end > segmentBytes / 2 ? tickMs : quietMs)
      if ((frames.count > 0 && isQuiet) || now - loan.sinceMs > longestMs) loan.state = 'ended'
    }
    for (const [segment, loan] of loansIn('empty'))
      if (isGone(loan) || now - loan.sinceMs > keptMs) quietly(() => remove(segments, segment))
    if (loans.size === 0) stopTicking()
    work()
  }

  function quietly(act: () => void): void {
    try {
      act()
    } catch {
      // Its next use says so.
    }
  }

  function startTicking(): void {
    ticking ??= setInterval(() => open && tick(open), tickMs).unref()
  }

  function stopTicking(): void {
    clearInterval(ticking)
    ticking = undefined
  }

  return {
    async begin() {
      ending = new AbortController()
      const hasRoom = async (bytes: number) => (await freeBytes(root)) > roomFor * bytes
      const segments = ownedSegments(root, { synced, folders, hasRoom })
      try {
        for (const segment of segments.adopt()) lend(segment, undefined, 'sealed')
      } catch (error) {
        segments.close()
        throw error
      }
      open = { segments, filing: walFiling({ root, segments, standing, growing, isDeciding }) }
      startTicking()
      work()
    },

    async lease(client, holding) {
      if (!open || ending.signal.aborted) return undefined
      const { segments } = open
      const mine = loansOf(client)
      const isFree = (segment: OwnedSegment, { state }: Loan) =>
        state === 'empty' && segment.number !== holding
      const empty = mine.find(each => isFree(...each))?.[0]
      const segment = empty ?? (mine.length < loansEach ? await create(segments) : undefined)
      if (!segment) return undefined
      loans.delete(segment)
      await segments.renew(segment).catch(error => {
        segments.remove(segment)
        throw error
      })
      lend(segment, client, gone.has(client) ? 'ended' : 'lent')
      startTicking()
      return { number: segment.number, generation: segment.generation }
    },

    release(client) {
      gone.add(client)
      for (const [, loan] of loansOf(client)) if (loan.state === 'lent') loan.state = 'ended'
      work()
    },

    async end() {
      ending.abort()
      stopTicking()
      await working
      if (!open) return
      const { segments } = open
      try {
        for (const [, loan] of loans) {
          if (loan.client) gone.add(loan.client)
          if (loan.state === 'lent') loan.state = 'ended'
        }
        // What cannot be made files stays for the next owner.
        await round(open)
      } finally {
        open = undefined
        loans.clear()
        segments.close()
      }
    },

    decisions: decidedRecords(records, { filing: () => open?.filing, synced, root, folders }),

    fault: () => failure ?? open?.segments.damaged[0],
  }
}
