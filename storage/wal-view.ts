import fs from 'node:fs'
import { ifThereSync } from './durable.ts'
import {
  boardBytes,
  boardPath,
  headerBytes,
  markPosition,
  maxSegments,
  parseFrame,
  parseState,
  placePosition,
  type SegmentState,
  segmentPath,
  stateBytes,
} from './wal-format.ts'

/** Where a frame lies in its segment. */
export interface Spot {
  readonly position: number
  readonly length: number
  readonly ordinal: number
}

/** A segment that holds something, as far as it has been looked through. */
export interface Segment {
  readonly number: number
  readonly generation: number
  /** How many frames there are, of which the last of each key counts. */
  readonly frames: number
  readonly spots: ReadonlyMap<string, Spot>
}

export interface StandingFrame {
  readonly bytes: Buffer
  readonly writtenMs: number
  /** As in `marks`. */
  readonly mark: number
}

/**
 * What stands in the log now, for any process that uses the folder. A look costs a read of the board, one of each header,
 * and what has been added since the last. Nothing here waits: what is read was written within seconds, so it is in memory.
 */
export interface WalView {
  /** Sees every frame that was acknowledged before. */
  look(): readonly Segment[]
  /** Undefined: the segment is used for something else by now, and what was in it is files. */
  read(segment: Segment, key: string): StandingFrame | undefined
  close(): void
}

type Seen = { -readonly [K in keyof Segment]: Segment[K] } & {
  readonly fd: number
  readonly spots: Map<string, Spot>
  /** How far it has been looked through. */
  end: number
}

/** More than the longest frame. */
const scratchBytes = 256 * 1024

export function walView(root: string): WalView {
  /** Without one nobody has ever written to a log here. */
  let boardFd = ifThereSync(() => fs.openSync(boardPath(root), 'r'))
  const board = Buffer.alloc(boardBytes)
  const before = Buffer.alloc(boardBytes)
  const scratch = Buffer.allocUnsafeSlow(scratchBytes)
  const seen = new Map<number, Seen>()

  function stateOf(fd: number): SegmentState {
    return parseState(scratch.subarray(0, fs.readSync(fd, scratch, 0, stateBytes, 0)))
  }

  /** Opens what has come to the board, and lets go of what has left it. */
  function readBoard(fd: number): void {
    const got = fs.readSync(fd, board, 0, boardBytes, 0)
    board.fill(0, got)
    if (board.equals(before)) return
    const numbers = new Set<number>()
    for (let place = 0; place < maxSegments; place++) numbers.add(board.readUInt32LE(placePosition(place)))
    numbers.delete(0)
    for (const [number, { fd: left }] of seen) {
      if (numbers.has(number)) continue
      seen.delete(number)
      fs.closeSync(left)
    }
    for (const number of numbers) {
      if (seen.has(number)) continue
      const come = ifThereSync(() => fs.openSync(segmentPath(root, number), 'r'))
      // It has left the board again: what was in it is files.
      if (come === undefined) continue
      seen.set(number, { number, fd: come, generation: 0, end: headerBytes, frames: 0, spots: new Map() })
    }
    board.copy(before)
  }

  /** Looks through what has been added to a segment. What begins anew meanwhile holds files only. */
  function advance(segment: Seen): void {
    const { generation, end } = stateOf(segment.fd)
    if (generation !== segment.generation) {
      segment.spots.clear()
      Object.assign(segment, { generation, end: headerBytes, frames: 0 })
    }
    while (generation !== 0 && segment.end < end) {
      const begun = segment.end
      const wanted = Math.min(scratch.length, end - begun)
      const chunk = scratch.subarray(0, fs.readSync(segment.fd, scratch, 0, wanted, begun))
      for (;;) {
        const frame = parseFrame(chunk, segment.end - begun, generation)
        if (!frame) break
        const ordinal = segment.frames++
        segment.spots.set(frame.key, { position: segment.end, length: frame.length, ordinal })
        segment.end += frame.length
      }
      if (segment.end > begun) continue
      if (stateOf(segment.fd).generation === generation)
        throw new Error(`segment ${segment.number} of the log is damaged at ${begun}`)
      return
    }
  }

  return {
    look() {
      if (boardFd === undefined) return []
      readBoard(boardFd)
      for (const segment of seen.values()) advance(segment)
      return [...seen.values()].filter(({ generation }) => generation !== 0)
    },

    read({ number, generation, spots }, key) {
      const spot = spots.get(key)
      const fd = seen.get(number)?.fd
      if (!spot || fd === undefined) return undefined
      const mark = Buffer.alloc(1)
      fs.readSync(fd, mark, 0, 1, markPosition(spot.ordinal))
      const bytes = Buffer.allocUnsafeSlow(spot.length)
      const got = fs.readSync(fd, bytes, 0, spot.length, spot.position)
      const frame = parseFrame(bytes.subarray(0, got), 0, generation)
      // Asked last: a new generation is written together with the marks.
      if (frame?.key !== key || stateOf(fd).generation !== generation) return undefined
      return { bytes: frame.bytes, writtenMs: frame.writtenMs, mark: mark.readUInt8() }
    },

    close() {
      if (boardFd !== undefined) fs.closeSync(boardFd)
      boardFd = undefined
      for (const { fd } of seen.values()) fs.closeSync(fd)
      seen.clear()
    },
  }
}
