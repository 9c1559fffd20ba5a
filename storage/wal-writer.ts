import fs from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { file } from './durable.ts'
import {
  encodeFrame,
  encodeWord,
  endPosition,
  frameLength,
  headerBytes,
  maxFrames,
  mostBytes,
  readState,
  segmentBytes,
  segmentPath,
  writtenNow,
} from './wal-format.ts'

/** A segment that one process has to itself, until it is sealed. */
export interface Lease {
  readonly number: number
  readonly generation: number
}

export interface WalWriter {
  /** Writes a record over whatever stands at its key; durable when it resolves to true. False: not now, write it elsewhere. */
  write(key: string, bytes: Uint8Array, deadlineMs: number): Promise<boolean>
  close(): void
}

interface Waiting {
  readonly key: string
  readonly bytes: Uint8Array
  readonly deadlineMs: number
  settle(written: boolean): void
}

interface Current extends Lease {
  readonly fd: number
  end: number
  frames: number
}

/** How long one that was refused a segment does not ask for another. */
const refusedMs = 100
/** Another segment is asked for when so much of one is full. */
const nearlyFull = 0.75
/** What nothing has been added to for so long is sealed by its owner; it need not be kept open. */
const restMs = 2_000
/** So many are written at once: less than a segment holds. */
const mostTogether = 128
/** Those who come in so many turns of the loop share a sync: some 20 us where nobody else comes. */
const gatheredTurns = 2

export interface WriterOptions {
  readonly synced: boolean
  /** Asks the owner of the folder for another segment than the one that is held. */
  lease(holding: number | undefined): Promise<Lease | undefined>
}

/** What one process adds to the log: one write and one sync for all who wait. */
export function walWriter(root: string, { synced, lease }: WriterOptions): WalWriter {
  let current: Current | undefined
  let next: Current | undefined
  let isAsking = false
  let isClosed = false
  const waiting: Waiting[] = []
  let isRunning = false
  let resting: NodeJS.Timeout | undefined

  function open({ number, generation }: Lease): Current {
    const fd = fs.openSync(segmentPath(root, number), 'r+')
    return { number, generation, fd, end: headerBytes, frames: 0 }
  }

  function drop(segment: Current | undefined): void {
    try {
      if (segment) fs.closeSync(segment.fd)
    } catch {
      // What it says of bytes has been asked before.
    }
  }

  async function ask(): Promise<void> {
    if (isAsking || next || isClosed) return
    isAsking = true
    try {
      const leased = await lease(current?.number)
      if (leased && !isClosed) next = open(leased)
    } catch {
      // Who owned the folder has left, and there is no log without one.
    }
    if (next) isAsking = false
    else setTimeout(() => (isAsking = false), refusedMs).unref()
  }

  /** Whether anything may be added to it. */
  function stands({ fd, generation }: Current): boolean {
    const state = readState(fd)
    return state.generation === generation && !state.isSealed
  }

  /** A segment with room for so much. */
  function segmentFor(bytes: number, frames: number): Current | undefined {
    const hasRoom = (segment: Current) =>
      segment.end + bytes <= segmentBytes && segment.frames + frames <= maxFrames && stands(segment)
    for (let left = 2; left > 0 && !(current && hasRoom(current)); left--) {
      const full = current
      current = next
      next = undefined
      drop(full)
    }
    const isNearlyFull =
      !current || current.end > segmentBytes * nearlyFull || current.frames > maxFrames * nearlyFull
    if (isNearlyFull) void ask()
    return current
  }

  async function add(batch: readonly Waiting[]): Promise<boolean> {
    const bytes = batch.reduce((sum, each) => sum + frameLength(each.key, each.bytes), 0)
    const segment = segmentFor(bytes, batch.length)
    if (!segment) return false
    const now = writtenNow()
    const pieces = batch.flatMap(each => encodeFrame(segment.generation, each.key, each.bytes, now))
    try {
      // Some us, as nothing is made longer and nothing is read.
      if (fs.writevSync(segment.fd, pieces, segment.end) === bytes && (await publish(segment, bytes))) {
        segment.frames += batch.length
        return true
      }
    } catch {
      // The disk has refused it.
    }
    await spoil(segment)
    return false
  }

  /** Nobody sees what is not durable: who relies on it may be. */
  async function publish(segment: Current, bytes: number): Promise<boolean> {
    if (synced) await file.fdatasync(segment.fd)
    const end = segment.end + bytes
    fs.writeSync(segment.fd, encodeWord(end), 0, 4, endPosition)
    const state = readState(segment.fd)
    // It may have been sealed meanwhile, before this or behind it.
    if (state.generation !== segment.generation || state.end < end) return false
    segment.end = end
    return true
  }

  /** What is written elsewhere now, and removed there, must not come back from here after a power cut. */
  async function spoil({ fd, end }: Current): Promise<void> {
    try {
      fs.writeSync(fd, Buffer.alloc(8), 0, 8, end)
      if (synced) await file.fdatasync(fd)
    } catch {
      // A disk that takes nothing.
    }
  }

  async function gather(): Promise<boolean> {
    for (let left = gatheredTurns; left > 0; left--) await turn()
    return waiting.length > 0
  }

  async function run(): Promise<void> {
    isRunning = true
    while (await gather()) {
      const batch = waiting.splice(0, mostTogether)
      const now = Date.now()
      const inTime = batch.filter(({ deadlineMs }) => deadlineMs >= now)
      const written = inTime.length === 0 || (await add(inTime).catch(() => false))
      if (!written) {
        // What a disk has refused once it may claim to have the next time.
        const refused = current
        current = undefined
        drop(refused)
      }
      for (const each of batch) each.settle(written && each.deadlineMs >= now)
    }
    isRunning = false
    if (isClosed) return closeAll()
    clearTimeout(resting)
    resting = setTimeout(() => {
      if (!isRunning) closeAll()
    }, restMs).unref()
  }

  function closeAll(): void {
    drop(current)
    drop(next)
    current = undefined
    next = undefined
  }

  return {
    async write(key, bytes, deadlineMs) {
      if (bytes.length > mostBytes) return false
      return new Promise(settle => {
        waiting.push({ key, bytes, deadlineMs, settle })
        if (!isRunning) void run()
      })
    },

    close() {
      isClosed = true
      clearTimeout(resting)
      // What is being written to is closed after that.
      if (!isRunning) closeAll()
    },
  }
}
