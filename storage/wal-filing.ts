import fs from 'node:fs'
import { dirname } from 'node:path'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import { codeOf, RegistryError } from '../oci/errors.ts'
import { headerBytes, marks, parseFrame, stagedPath } from './wal-format.ts'
import type { OwnedSegment, OwnedSegments } from './wal-segments.ts'
import type { Segment, WalView } from './wal-view.ts'

/** Makes files of what is in the log. */
export interface WalFiling {
  /** Makes a file of what the log holds for a key, if it holds anything that is none; for who decides about it now. */
  fileNow(key: string): void
  /** Once it is decided, what stands in files counts: no start makes a file again of what was filed. Durable. */
  forget(key: string): Promise<void>
  /** Makes files of all that a sealed segment holds, but for what is being decided about; returns the keys. */
  fileAll(segment: OwnedSegment): Promise<readonly string[]>
  /** Of a segment that is empty there is nothing to forget. */
  release(segment: OwnedSegment): void
}

export interface FilingOptions {
  readonly root: string
  readonly segments: OwnedSegments
  readonly view: WalView
  /** By number and generation; undefined where it is nobody's any more. */
  find(seen: Segment): OwnedSegment | undefined
  isDeciding(key: string): boolean
}

interface Filed {
  readonly segment: OwnedSegment
  readonly generation: number
  readonly ordinal: number
}

/** How long a decision may take before it is looked for again. */
const decisionMs = 10
/** So much is made files before something else may be done: some ms. */
const sliceBytes = 128 * 1024

export function walFiling({ root, segments, view, find, isDeciding }: FilingOptions): WalFiling {
  /** Of the keys that somebody decides about: a frame that is added meanwhile is none of these. */
  const decided = new Map<string, readonly Filed[]>()
  const scratch = Buffer.allocUnsafeSlow(sliceBytes)

  return {
    fileNow(key) {
      decided.delete(key)
      const filed = view.look().flatMap(seen => {
        const ordinal = seen.spots.get(key)?.ordinal
        const segment = ordinal === undefined ? undefined : find(seen)
        if (!segment || ordinal === undefined || segment.marks[ordinal] === marks.void) return []
        if (segment.marks[ordinal] === marks.pending) {
          const frame = view.read(seen, key)
          if (!frame) throw new Error(`segment ${segment.number} of the log does not hold what it held`)
          write(key, frame.bytes)
          mark(segment, ordinal, marks.filed)
        }
        return [{ segment, generation: segment.generation, ordinal }]
      })
      if (filed.length > 0) decided.set(key, filed)
    },

    async forget(key) {
      const filed = decided.get(key) ?? []
      decided.delete(key)
      const still = filed.filter(({ segment, generation }) => segment.generation === generation)
      for (const { segment, ordinal } of still) mark(segment, ordinal, marks.void)
      for (const segment of new Set(still.map(each => each.segment))) await segments.sync(segment)
    },

    async fileAll(segment) {
      const seen = view.look().find(each => find(each) === segment)
      if (!seen) throw new Error(`segment ${segment.number} of the log cannot be seen`)
      while (!(await fileOnce(seen, segment))) await wait(decisionMs)
      return [...seen.spots.keys()]
    },

    release(segment) {
      for (const [key, filed] of decided)
        if (filed.some(each => each.segment === segment)) decided.delete(key)
    },
  }

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
      fs.mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      fs.renameSync(staged, path)
    }
  }

  function mark(segment: OwnedSegment, ordinal: number, mark: number): void {
    segment.marks[ordinal] = mark
    segments.publish(segment, ordinal, ordinal + 1)
  }

  /** False: something is being decided about. */
  async function fileOnce(seen: Segment, segment: OwnedSegment): Promise<boolean> {
    let filedAll = true
    let position = headerBytes
    for (let ordinal = 0; ordinal < seen.frames; ) {
      const begun = ordinal
      const chunk = scratch.subarray(0, segments.read(segment, scratch, position))
      let at = 0
      for (; ordinal < seen.frames; ordinal++) {
        const frame = parseFrame(chunk, at, segment.generation)
        if (!frame) break
        at += frame.length
        // Of what was written more than once the last counts.
        const isLast = seen.spots.get(frame.key)?.ordinal === ordinal
        if (segment.marks[ordinal] !== marks.pending || !isLast) continue
        if (isDeciding(frame.key)) {
          filedAll = false
          continue
        }
        write(frame.key, frame.bytes)
        segment.marks[ordinal] = marks.filed
      }
      if (ordinal === begun) throw new Error(`segment ${segment.number} of the log cannot be read`)
      segments.publish(segment, begun, ordinal)
      position += at
      await turn()
    }
    return filedAll
  }
}
