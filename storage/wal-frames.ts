import fs from 'node:fs'
import { type Frame, headerBytes, isWhole, parseFrame, readState } from './wal-format.ts'

/** Where a frame lies in its segment. */
export interface Spot {
  readonly position: number
  readonly length: number
  readonly ordinal: number
  /** Of two frames of a key the one with more counts. */
  readonly order: number
}

/** The frame that counts first. */
export const latestFirst = (a: { readonly spot: Spot }, b: { readonly spot: Spot }) =>
  b.spot.order - a.spot.order

/** What a segment holds, as far as it has been looked through. */
export interface SegmentFrames {
  /** 0: nothing. */
  readonly generation: number
  /** Where the last frame ends. */
  readonly end: number
  /** How many frames there are, of which the last of each key counts. */
  readonly count: number
  readonly spots: ReadonlyMap<string, Spot>
  /** Looks through what has been added. Nothing here waits: it was written within seconds, so it is in memory. */
  advance(): void
  /** The last frame of a key. Undefined: the segment was begun anew meanwhile. */
  read(key: string): Frame | undefined
  /** All frames in order, in pieces of some 100 KiB; throws where one is damaged. */
  pieces(): Generator<readonly Frame[]>
}

/** What was written before the system started comes before all that was written since. */
const beforeBootNs = 1e18

/** More than the longest frame. */
const scratchBytes = 128 * 1024
const scratch = Buffer.allocUnsafeSlow(scratchBytes)

/** `name`: what errors call the segment, which is read through this descriptor. */
export function segmentFrames(fd: number, name: string): SegmentFrames {
  const spots = new Map<string, Spot>()
  const damaged = (position: number) => new Error(`${name} of the log is damaged at ${position}`)

  /** The frames of a piece from `position` on; those are valid until the next piece is read. */
  function piece(position: number, limit: number, into: Buffer): readonly Frame[] {
    const got = fs.readSync(fd, into, 0, Math.min(into.length, limit - position), position)
    const frames: Frame[] = []
    for (let at = 0; ; ) {
      const frame = parseFrame(into.subarray(0, got), at, self.generation)
      if (!frame) return frames
      frames.push(frame)
      at += frame.length
    }
  }

  const self = {
    generation: 0,
    count: 0,
    end: headerBytes,
    spots,

    advance() {
      const state = readState(fd)
      if (state.generation !== self.generation) {
        spots.clear()
        self.generation = state.generation
        self.count = 0
        self.end = headerBytes
      }
      while (self.generation !== 0 && self.end < state.end) {
        const frames = piece(self.end, state.end, scratch)
        // What is begun anew meanwhile has become files.
        if (frames.length === 0 && readState(fd).generation !== self.generation) return
        if (frames.length === 0) throw damaged(self.end)
        for (const { key, length, bootNs } of frames) {
          const order = state.isOfThisBoot ? bootNs : bootNs - beforeBootNs
          spots.set(key, { position: self.end, length, ordinal: self.count++, order })
          self.end += length
        }
      }
    },

    read(key: string) {
      const spot = spots.get(key)
      if (!spot) return undefined
      const bytes = Buffer.allocUnsafeSlow(spot.length)
      const got = fs.readSync(fd, bytes, 0, spot.length, spot.position)
      const frame = parseFrame(bytes.subarray(0, got), 0, self.generation)
      if (readState(fd).generation !== self.generation) return undefined
      if (frame?.key !== key || !isWhole(bytes, 0, frame)) throw damaged(spot.position)
      return frame
    },

    *pieces() {
      const own = Buffer.allocUnsafeSlow(scratchBytes)
      for (let position = headerBytes; position < self.end; ) {
        const frames = piece(position, self.end, own)
        if (frames.length === 0) throw damaged(position)
        let at = 0
        for (const frame of frames) {
          if (!isWhole(own, at, frame)) throw damaged(position + at)
          at += frame.length
        }
        position += at
        yield frames
      }
    },
  } satisfies SegmentFrames
  return self
}
