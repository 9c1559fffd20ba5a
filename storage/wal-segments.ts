import fs from 'node:fs'
import { type Folders, file, ifThereSync } from './durable.ts'
import {
  boardBytes,
  boardPath,
  countPosition,
  encodeHeader,
  encodeWord,
  endPosition,
  headerBytes,
  isWhole,
  markPosition,
  marks,
  marksOf,
  maxFrames,
  maxSegments,
  parseFrame,
  parseState,
  placePosition,
  type SegmentState,
  sealPosition,
  segmentBytes,
  segmentPath,
  stateBytes,
  walFolder,
} from './wal-format.ts'

/** A segment as the owner of the folder has it. */
export interface OwnedSegment {
  readonly number: number
  /** 0: it holds nothing. */
  readonly generation: number
  /** One byte for each frame, by ordinal. */
  readonly marks: Buffer
}

/** What only the owner of a folder does to segments. */
export interface OwnedSegments {
  /** Those that a run before this one has left, sealed: what is not void in them is to be made files again. */
  adopt(): readonly OwnedSegment[]
  /** Undefined: there are as many as there may be, or the disk has no room. */
  create(): Promise<OwnedSegment | undefined>
  /** Makes a segment that holds nothing ready to be filled. */
  renew(segment: OwnedSegment): Promise<void>
  /** Where its last frame ends now. */
  endOf(segment: OwnedSegment): number
  /** The bytes at a position, up to as many as there is room for; returns how many. */
  read(segment: OwnedSegment, into: Buffer, position: number): number
  seal(segment: OwnedSegment): void
  /** Lets everybody see the marks from one ordinal to before another; durable after `sync`. */
  publish(segment: OwnedSegment, from: number, to: number): void
  sync(segment: OwnedSegment): Promise<void>
  /** Everything in it is files: it holds nothing any more. Durable when it resolves. */
  empty(segment: OwnedSegment): Promise<void>
  /** Takes an empty one away, with its space. */
  remove(segment: OwnedSegment): void
  close(): void
}

type Own = { -readonly [K in keyof OwnedSegment]: OwnedSegment[K] } & {
  readonly fd: number
  readonly place: number
}

export interface SegmentOptions {
  readonly synced: boolean
  readonly folders: Folders
  /** Whether so many bytes may be taken from the volume. */
  hasRoom(bytes: number): Promise<boolean>
}

const fillBytes = 1024 * 1024
const { O_CREAT, O_RDWR } = fs.constants

export function ownedSegments(root: string, { synced, folders, hasRoom }: SegmentOptions): OwnedSegments {
  const all = new Map<number, Own>()
  /** Numbers and generations are given out once: who slept must not take one segment for another. */
  let numbers = 0
  let generations = 0

  /** Opened for each change: who wants to mount the volume read-only finds no file that is being written to. */
  function onBoard<T>(act: (fd: number) => T): T {
    const fd = fs.openSync(boardPath(root), O_RDWR | O_CREAT, 0o600)
    try {
      return act(fd)
    } finally {
      fs.closeSync(fd)
    }
  }

  const writeWord = (fd: number, word: number, position: number) =>
    void fs.writeSync(fd, encodeWord(word), 0, 4, position)

  function open(number: number): Own {
    const fd = fs.openSync(segmentPath(root, number), O_RDWR | O_CREAT, 0o600)
    const taken = new Set([...all.values()].map(({ place }) => place))
    let place = 0
    while (taken.has(place)) place++
    const own = { number, place, fd, generation: 0, marks: Buffer.alloc(maxFrames) }
    all.set(number, own)
    return own
  }

  const sync = async (own: Own) => {
    if (synced) await file.fdatasync(own.fd)
  }

  function stateOf({ fd }: Own): SegmentState {
    const header = Buffer.alloc(stateBytes)
    return parseState(header.subarray(0, fs.readSync(fd, header, 0, stateBytes, 0)))
  }

  /** What a segment holds after whatever has happened to it. */
  function readOver(own: Own): void {
    own.generation = stateOf(own).generation
    generations = Math.max(generations, own.generation)
    if (own.generation === 0) return
    // Before it is read: a process that does not know of the end of its parent may be adding to it.
    writeWord(own.fd, 1, sealPosition)
    const bytes = fs.readFileSync(own.fd)
    marksOf(bytes).copy(own.marks)
    // What had been made a file may not have reached the disk.
    for (const [ordinal, mark] of own.marks.entries())
      if (mark === marks.filed) own.marks[ordinal] = marks.pending
    fs.writeSync(own.fd, own.marks, 0, maxFrames, markPosition(0))
    writeWord(own.fd, endOfFrames(bytes, own.generation), endPosition)
  }

  function endOfFrames(bytes: Buffer, generation: number): number {
    for (let at = headerBytes; ; ) {
      const frame = parseFrame(bytes, at, generation)
      if (!frame || !isWhole(bytes, at, frame)) return at
      at += frame.length
    }
  }

  /** Written over once, so that later writes change nothing but bytes. */
  async function fill({ fd }: Own): Promise<void> {
    const zeros = Buffer.alloc(fillBytes)
    for (let at = 0; at < segmentBytes; )
      at += await file.write(fd, zeros, 0, Math.min(fillBytes, segmentBytes - at), at)
    if (synced) await file.fsync(fd)
    await folders.sync(`${root}/${walFolder}`)
  }

  const ownOf = ({ number }: OwnedSegment) => all.get(number) as Own

  function remove(segment: OwnedSegment): void {
    const own = ownOf(segment)
    onBoard(fd => writeWord(fd, 0, placePosition(own.place)))
    all.delete(own.number)
    fs.closeSync(own.fd)
    ifThereSync(() => fs.unlinkSync(segmentPath(root, own.number)))
  }

  return {
    adopt() {
      const board = Buffer.alloc(boardBytes)
      onBoard(fd => fs.readSync(fd, board, 0, boardBytes, 0))
      const left = fs
        .readdirSync(`${root}/${walFolder}`)
        .map(Number)
        .filter(number => Number.isInteger(number) && number > 0)
      numbers = Math.max(board.readUInt32LE(countPosition), ...left)
      for (const number of left) readOver(open(number))
      board.fill(0, placePosition(0))
      for (const { number, place } of all.values()) board.writeUInt32LE(number, placePosition(place))
      onBoard(fd => fs.writeSync(fd, board, 0, boardBytes, 0))
      const full = [...all.values()].filter(({ generation }) => generation !== 0)
      for (const own of all.values()) if (own.generation === 0) remove(own)
      return full
    },

    async create() {
      if (all.size >= maxSegments || !(await hasRoom(segmentBytes))) return undefined
      onBoard(fd => writeWord(fd, ++numbers, countPosition))
      const own = open(numbers)
      try {
        await fill(own)
      } catch (error) {
        remove(own)
        throw error
      }
      onBoard(fd => writeWord(fd, own.number, placePosition(own.place)))
      return own
    },

    async renew(segment) {
      const own = ownOf(segment)
      own.marks.fill(marks.pending)
      const generation = ++generations
      fs.writeSync(own.fd, encodeHeader(generation), 0, headerBytes, 0)
      await sync(own)
      own.generation = generation
    },

    endOf: segment => stateOf(ownOf(segment)).end,

    read: (segment, into, position) => fs.readSync(ownOf(segment).fd, into, 0, into.length, position),

    seal: segment => writeWord(ownOf(segment).fd, 1, sealPosition),

    publish: (segment, from, to) =>
      void fs.writeSync(ownOf(segment).fd, segment.marks, from, to - from, markPosition(from)),

    sync: segment => sync(ownOf(segment)),

    async empty(segment) {
      const own = ownOf(segment)
      fs.writeSync(own.fd, encodeHeader(0), 0, stateBytes, 0)
      await sync(own)
      own.generation = 0
    },

    remove,

    close() {
      for (const { fd } of all.values()) fs.closeSync(fd)
      all.clear()
    },
  }
}
