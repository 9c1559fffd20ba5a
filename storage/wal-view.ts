import fs from 'node:fs'
import { ifThereSync } from './durable.ts'
import {
  boardBytes,
  boardMagic,
  boardPath,
  type Frame,
  markPosition,
  marks,
  maxSegments,
  placePosition,
  segmentPath,
} from './wal-format.ts'
import { latestFirst, type SegmentFrames, segmentFrames } from './wal-frames.ts'

/**
 * What is pending in the log, for any process that uses the folder: records that stand over the files of their keys. Each
 * question costs a read of the board, one of each header, and what has been added since the last. Throws where the log is
 * damaged.
 */
export interface WalView {
  /** Sees every frame that was acknowledged before; of several the one that was written last. */
  find(key: string): Frame | undefined
  /** The keys that begin with a prefix and sort after another, in no order. */
  keys(prefix: string, after: string): readonly string[]
  close(): void
}

/** After so long without a question nothing is kept open. */
const restMs = 10_000
/** So many segments may leave the board one after another while it is looked at. */
const tries = 10

interface Seen {
  readonly fd: number
  readonly frames: SegmentFrames
}

export function walView(root: string): WalView {
  let boardFd: number | undefined
  let isClosed = false
  const board = Buffer.alloc(boardBytes)
  const before = Buffer.alloc(boardBytes)
  const seen = new Map<number, Seen>()
  let isUsed = false
  // What nobody looks at is not kept: a segment that was removed would keep its space.
  const resting = setInterval(() => {
    if (!isUsed) letGo()
    isUsed = false
  }, restMs).unref()

  function letGo(): void {
    if (boardFd !== undefined) fs.closeSync(boardFd)
    boardFd = undefined
    for (const { fd } of seen.values()) fs.closeSync(fd)
    seen.clear()
    before.fill(0)
  }

  function listed(): ReadonlySet<number> {
    const numbers = new Set<number>()
    for (let place = 0; place < maxSegments; place++) numbers.add(board.readUInt32LE(placePosition(place)))
    numbers.delete(0)
    return numbers
  }

  /** False: a segment has left the board while it was read. */
  function follow(fd: number): boolean {
    const got = fs.readSync(fd, board, 0, boardBytes, 0)
    if (got < boardBytes || board.readUInt32LE(0) !== boardMagic)
      throw new Error(`${boardPath(root)} is damaged: stop the server, remove it, and start again`)
    if (board.equals(before)) return true
    const numbers = listed()
    for (const [number, { fd: left }] of seen) {
      if (numbers.has(number)) continue
      seen.delete(number)
      fs.closeSync(left)
    }
    let isComplete = true
    for (const number of numbers) {
      if (seen.has(number)) continue
      const come = ifThereSync(() => fs.openSync(segmentPath(root, number), 'r'))
      if (come === undefined) isComplete = false
      else seen.set(number, { fd: come, frames: segmentFrames(come, `segment ${number}`) })
    }
    if (isComplete) board.copy(before)
    return isComplete
  }

  function look(): readonly Seen[] {
    isUsed = true
    // Until somebody has written to a log here there is no board.
    if (!isClosed) boardFd ??= ifThereSync(() => fs.openSync(boardPath(root), 'r'))
    if (boardFd === undefined) return []
    for (let left = tries; !follow(boardFd); left--)
      if (left === 0)
        throw new Error(`a segment is missing that ${boardPath(root)} names: restart the server`)
    const segments = [...seen.values()]
    for (const { frames } of segments) frames.advance()
    return segments
  }

  function markOf(fd: number, ordinal: number): number {
    const mark = Buffer.alloc(1)
    fs.readSync(fd, mark, 0, 1, markPosition(ordinal))
    return mark.readUInt8()
  }

  return {
    find(key) {
      const found = look()
        .flatMap(({ fd, frames }) => {
          const spot = frames.spots.get(key)
          return spot ? [{ fd, frames, spot }] : []
        })
        .sort(latestFirst)
      for (const { fd, frames, spot } of found) {
        const mark = markOf(fd, spot.ordinal)
        // What was written before it, and is seen later, came before it all the same.
        if (mark === marks.filed) return undefined
        if (mark !== marks.pending) continue
        // Asks for the generation last, which is written together with the marks.
        const frame = frames.read(key)
        if (frame) return frame
      }
      return undefined
    },

    keys(prefix, after) {
      return look().flatMap(({ fd, frames }) =>
        [...frames.spots]
          .filter(([key]) => key.startsWith(prefix) && key > after)
          .filter(([, { ordinal }]) => markOf(fd, ordinal) === marks.pending)
          .map(([key]) => key),
      )
    },

    close() {
      isClosed = true
      clearInterval(resting)
      letGo()
    },
  }
}
