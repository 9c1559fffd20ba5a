import fs from 'node:fs'
import { RegistryError } from '../oci/errors.ts'
import { type Folders, file, ifThereSync } from './durable.ts'
import {
  boardBytes,
  boardMagic,
  boardPath,
  countPosition,
  encodeHeader,
  encodeWord,
  endPosition,
  generationPosition,
  headerBytes,
  isHeader,
  isWhole,
  markPosition,
  marks,
  marksOf,
  maxFrames,
  maxSegments,
  parseFrame,
  placePosition,
  readState,
  sealing,
  sealPosition,
  segmentBytes,
  segmentPath,
  walFolder,
} from './wal-format.ts'
import { type SegmentFrames, segmentFrames } from './wal-frames.ts'

/** A segment as the owner of the folder has it. */
export interface OwnedSegment {
  readonly number: number
  /** 0: it holds nothing. */
  readonly generation: number
  readonly frames: SegmentFrames
  /** One byte for each frame, by ordinal. */
  readonly marks: Buffer
}

/** What only the owner of a folder does to segments. */
export interface OwnedSegments {
  /** Those that a run before this one has left: what is not void in them is to be made files again. */
  adopt(): readonly OwnedSegment[]
  /** Undefined: there are as many as there may be, or the disk has no room. */
  create(): Promise<OwnedSegment | undefined>
  /** Makes one that holds nothing ready to be filled. */
  renew(segment: OwnedSegment): Promise<void>
  /** What is added from now on does not count. */
  seal(segment: OwnedSegment): void
  /** Lets everybody see the marks from one ordinal to before another; durable after `sync`. */
  publish(segment: OwnedSegment, from: number, to: number): void
  sync(segment: OwnedSegment): Promise<void>
  /** Everything in it is files: it holds nothing any more. Durable when it resolves; may be tried again. */
  empty(segment: OwnedSegment): Promise<void>
  /** Takes an empty one away, with its space. */
  remove(segment: OwnedSegment): void
  /** What could not be read when it was adopted. */
  readonly damaged: readonly Error[]
  close(): void
}

type Own = { -readonly [K in keyof OwnedSegment]: OwnedSegment[K] } & {
  readonly fd: number
  readonly place: number
  isListed: boolean
  readonly syncing: Set<Promise<void>>
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
  const damaged: Error[] = []

  const writeWord = (fd: number, word: number, position: number) =>
    void fs.writeSync(fd, encodeWord(word), 0, 4, position)

  /** Undefined: no place is left. */
  function open(number: number): Own | undefined {
    const taken = new Set([...all.values()].map(({ place }) => place))
    let place = 0
    while (taken.has(place)) place++
    if (place >= maxSegments) return undefined
    const fd = fs.openSync(segmentPath(root, number), O_RDWR | O_CREAT, 0o600)
    const frames = segmentFrames(fd, `segment ${number}`)
    const own: Own = {
      number,
      place,
      isListed: false,
      fd,
      frames,
      generation: 0,
      marks: Buffer.alloc(maxFrames),
      syncing: new Set(),
    }
    all.set(number, own)
    return own
  }

  function ownOf({ number }: OwnedSegment): Own {
    const own = all.get(number)
    if (!own) throw new Error(`segment ${number} of the log is gone`)
    return own
  }

  async function sync(own: Own): Promise<void> {
    if (!synced) return
    const done = file.fdatasync(own.fd).finally(() => own.syncing.delete(done))
    own.syncing.add(done)
    await done
  }

  function seal({ fd }: Own): void {
    const before = readState(fd, 0)
    // What its writer has added since does not count, now or later.
    if (before.isSealed && !before.isSealing) return
    writeWord(fd, sealing, sealPosition)
    // After the word: a writer that has not seen it has said before where its frames end.
    writeWord(fd, readState(fd, 0).end, sealPosition)
  }

  /** What a segment holds after whatever has happened to it. */
  function readOver(own: Own): void {
    const bytes = fs.readFileSync(own.fd)
    if (!isHeader(bytes)) {
      keepDamaged(own)
      return
    }
    own.generation = readState(own.fd, 0).generation
    generations = Math.max(generations, own.generation)
    if (own.generation === 0) return
    // Before it is read: a process that does not know of the end of its parent may be adding to it.
    seal(own)
    const frames = fs.readFileSync(segmentPath(root, own.number))
    const { end, isOfThisBoot } = readState(own.fd)
    const found = endOfFrames(frames, own.generation)
    if (isOfThisBoot && found < end) keepDamaged(own)
    if (!isOfThisBoot || found < end) {
      writeWord(own.fd, found, endPosition)
      writeWord(own.fd, found, sealPosition)
    }
    marksOf(frames).copy(own.marks)
    own.frames.advance()
    // What had been made a file may not have reached the disk.
    for (const [ordinal, mark] of own.marks.entries())
      if (mark === marks.filed) own.marks[ordinal] = marks.pending
    fs.writeSync(own.fd, own.marks, 0, maxFrames, markPosition(0))
  }

  /** What cannot be read is not thrown away. */
  function keepDamaged({ number }: Own): void {
    const path = segmentPath(root, number)
    damaged.push(
      new Error(`${path} was damaged: what can be read of it is used, and it is kept as ${path}.damaged`),
    )
    fs.rmSync(`${path}.damaged`, { force: true })
    fs.linkSync(path, `${path}.damaged`)
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

  /** Opened for each change: who wants to mount the volume read-only finds no file that is being written to. */
  function writeBoard(): void {
    const board = Buffer.alloc(boardBytes)
    board.writeUInt32LE(boardMagic, 0)
    board.writeUInt32LE(numbers, countPosition)
    for (const { number, place, isListed } of all.values())
      if (isListed) board.writeUInt32LE(number, placePosition(place))
    const fd = fs.openSync(boardPath(root), O_RDWR | O_CREAT, 0o600)
    try {
      if (fs.writeSync(fd, board, 0, boardBytes, 0) !== boardBytes) throw new RegistryError('STORAGE_FULL')
    } finally {
      fs.closeSync(fd)
    }
  }

  function remove(segment: OwnedSegment): void {
    const own = ownOf(segment)
    own.isListed = false
    writeBoard()
    ifThereSync(() => fs.unlinkSync(segmentPath(root, own.number)))
    all.delete(own.number)
    fs.closeSync(own.fd)
  }

  return {
    adopt() {
      const left = (ifThereSync(() => fs.readdirSync(`${root}/${walFolder}`)) ?? [])
        .map(Number)
        .filter(number => Number.isInteger(number) && number > 0)
        .sort((a, b) => a - b)
      const board = ifThereSync(() => fs.readFileSync(boardPath(root)))
      // Until there is a log there need not be room for a board.
      if (!board && left.length === 0) return []
      const isBoard = board?.length === boardBytes && board.readUInt32LE(0) === boardMagic
      numbers = Math.max(isBoard ? board.readUInt32LE(countPosition) : 0, ...left)
      for (const number of left) {
        const own = open(number)
        if (!own) continue
        readOver(own)
        own.isListed = true
      }
      writeBoard()
      for (const own of all.values()) if (own.generation === 0) remove(own)
      return [...all.values()]
    },

    async create() {
      if (!(await hasRoom(segmentBytes))) return undefined
      await folders.ensure(`${root}/${walFolder}`)
      const own = open(numbers + 1)
      if (!own) return undefined
      numbers++
      try {
        await fill(own)
        own.isListed = true
        writeBoard()
      } catch (error) {
        remove(own)
        throw error
      }
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

    seal: segment => seal(ownOf(segment)),

    publish: (segment, from, to) =>
      void fs.writeSync(ownOf(segment).fd, segment.marks, from, to - from, markPosition(from)),

    sync: segment => sync(ownOf(segment)),

    async empty(segment) {
      const own = ownOf(segment)
      // The seal stays: who held it must see one or the other. Until this is durable, decisions sync their marks.
      writeWord(own.fd, 0, generationPosition)
      await sync(own)
      while (own.syncing.size > 0) await Promise.allSettled(own.syncing)
      own.generation = 0
    },

    remove,
    damaged,

    close() {
      for (const { fd } of all.values()) fs.closeSync(fd)
      all.clear()
    },
  }
}
