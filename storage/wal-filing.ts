import fs from 'node:fs'
import { dirname } from 'node:path'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import { codeOf, RegistryError } from '../oci/errors.ts'
import { type Frame, marks, stagedPath } from './wal-format.ts'
import { latestFirst, type Spot } from './wal-frames.ts'
import type { OwnedSegment, OwnedSegments } from './wal-segments.ts'

/** Makes files of what is in the log. */
export interface WalFiling {
  /** Makes a file of what the log holds for a key, if that is none. For who decides about it now. */
  fileNow(key: string): Filed
  /** Says that files tell what has become of these frames, for ever; durable after `sync`. */
  leave(filed: Filed): void
  /** What was left is durable, also by those who failed to make it so. */
  sync(): Promise<void>
  /** Makes files of all that a sealed segment holds; returns the keys. */
  fileAll(segment: OwnedSegment): Promise<readonly string[]>
  /** Files could not be made durable: all are to be made again. */
  fileAgain(): void
}

/** Frames of a key that a file has been made of. */
export type Filed = readonly {
  readonly segment: OwnedSegment
  readonly generation: number
  readonly spot: Spot
}[]

export interface FilingOptions {
  readonly root: string
  readonly segments: OwnedSegments
  /** All that hold something. */
  standing(): readonly OwnedSegment[]
  /** Those of them that may hold more. */
  growing(): readonly OwnedSegment[]
  isDeciding(key: string): boolean
}

/** How long a decision may take before it is looked for again. */
const decisionMs = 10

export function walFiling({ root, segments, standing, growing, isDeciding }: FilingOptions): WalFiling {
  /** With marks that may not be durable, and how often there were any: also those that another run has left. */
  const unsynced = new Map<OwnedSegment, number>(standing().map(segment => [segment, 0]))

  /** Replaces what stands at a key: seen at once and whole, durable when all files are synced. */
  function write(key: string, bytes: Uint8Array): void {
    // One name for all, as only an owner makes files, one at a time.
    const staged = stagedPath(root)
    const fd = fs.openSync(staged, 'w', 0o600)
    try {
      if (fs.writeSync(fd, bytes) !== bytes.length) throw new RegistryError('STORAGE_FULL')
    } finally {
      fs.closeSync(fd)
    }
    const path = `${root}/${key}`
    try {
      fs.renameSync(staged, path)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
      makeFolder(dirname(path))
      fs.renameSync(staged, path)
    }
  }

  /** The parents of a folder are durable: whoever finds it there takes them to be (durable.ts). */
  function makeFolder(path: string): void {
    try {
      fs.mkdirSync(path, 0o700)
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return
      if (codeOf(error) !== 'ENOENT') throw error
      const parent = dirname(path)
      makeFolder(parent)
      const fd = fs.openSync(dirname(parent), 'r')
      fs.fsyncSync(fd)
      fs.closeSync(fd)
      makeFolder(path)
    }
  }

  /** The last frames of a key, the one that counts first, but for those that are over. */
  function framesOf(key: string, among: readonly OwnedSegment[]): Filed {
    return among
      .flatMap(segment => {
        const spot = segment.frames.spots.get(key)
        if (!spot || segment.marks[spot.ordinal] === marks.void) return []
        return [{ segment, generation: segment.generation, spot }]
      })
      .sort(latestFirst)
  }

  const isPending = ({ segment, spot }: Filed[number]) => segment.marks[spot.ordinal] === marks.pending

  /** Makes a file of the frame that counts, and marks it, and those before it, without letting anybody see yet. */
  function file(key: string, found: Filed, bytesIn: (segment: OwnedSegment) => Uint8Array): void {
    const [newest] = found
    if (newest && isPending(newest)) write(key, bytesIn(newest.segment))
    for (const each of found.filter(isPending)) each.segment.marks[each.spot.ordinal] = marks.filed
  }

  const publish = ({ segment, spot: { ordinal } }: Filed[number]) =>
    segments.publish(segment, ordinal, ordinal + 1)

  function read({ number, frames }: OwnedSegment, key: string): Uint8Array {
    const frame = frames.read(key)
    if (!frame) throw new Error(`segment ${number} of the log does not hold what it held`)
    return frame.bytes
  }

  /** Those that hold something, as far as they go now. */
  function advanced(): readonly OwnedSegment[] {
    for (const { frames } of growing()) frames.advance()
    return standing()
  }

  /** False: something is being decided about. */
  function filePiece(segment: OwnedSegment, frames: readonly Frame[], first: number): boolean {
    const among = standing()
    let isDone = true
    let ordinal = first
    try {
      for (const { key, bytes } of frames) {
        // Of what was written more than once the last counts.
        const isLast = segment.frames.spots.get(key)?.ordinal === ordinal
        const isOver = segment.marks[ordinal] !== marks.pending
        ordinal++
        if (isOver || !isLast) continue
        if (isDeciding(key)) {
          isDone = false
          continue
        }
        const found = framesOf(key, among)
        file(key, found, newest => (newest === segment ? bytes : read(newest, key)))
        for (const each of found) if (each.segment !== segment) publish(each)
      }
    } finally {
      segments.publish(segment, first, ordinal)
    }
    return isDone
  }

  async function fileOnce(segment: OwnedSegment): Promise<boolean> {
    let isDone = true
    let first = 0
    for (const frames of segment.frames.pieces()) {
      isDone = filePiece(segment, frames, first) && isDone
      first += frames.length
      await turn()
    }
    return isDone
  }

  return {
    fileNow(key) {
      const found = framesOf(key, advanced())
      file(key, found, newest => read(newest, key))
      for (const each of found) publish(each)
      return found
    },

    leave(filed) {
      for (const each of filed) {
        if (each.segment.generation !== each.generation) continue
        each.segment.marks[each.spot.ordinal] = marks.void
        unsynced.set(each.segment, (unsynced.get(each.segment) ?? 0) + 1)
        publish(each)
      }
    },

    async sync() {
      for (const [segment, times] of unsynced) {
        if (segment.generation !== 0) await segments.sync(segment)
        if (unsynced.get(segment) === times) unsynced.delete(segment)
      }
    },

    async fileAll(segment) {
      segment.frames.advance()
      while (!(await fileOnce(segment))) await wait(decisionMs)
      return [...segment.frames.spots.keys()]
    },

    fileAgain() {
      for (const segment of standing()) {
        const { count } = segment.frames
        for (let ordinal = 0; ordinal < count; ordinal++)
          if (segment.marks[ordinal] === marks.filed) segment.marks[ordinal] = marks.pending
        segments.publish(segment, 0, count)
      }
    },
  }
}
