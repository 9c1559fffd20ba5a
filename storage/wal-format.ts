/**
 * The write-ahead log of a folder (docs/decisions/0025): links that many share a sync for, and that become files later.
 *
 *   wal/board   which segments there are: magic, how many numbers have been given out, and then a number for each, or 0
 *   wal/<n>     segment n, 16 MiB, filled by one process and by no other: a header, and frames one after another
 *   wal/staged  a record that is about to get its name
 *
 * A header holds the state of the segment and a mark for each frame. A segment is used again with another generation, so
 * that frames of an earlier use end the scan of a later one. Numbers are little-endian. What the board and a header's state
 * say is for processes that run: a power cut leaves frames, and their checksums say which are whole.
 */
import { hash } from 'node:crypto'
import fs from 'node:fs'
import { crc32 } from 'node:zlib'
import { bootId } from './boot-id.ts'

export const walFolder = 'wal'
export const segmentPath = (root: string, number: number) => `${root}/${walFolder}/${number}`
export const stagedPath = (root: string) => `${root}/${walFolder}/staged`
export const boardPath = (root: string) => `${root}/${walFolder}/board`

export const boardMagic = 0x6c_61_77_73
/** So many segments have a place on the board. */
export const maxSegments = 254
export const boardBytes = 4 * (2 + maxSegments)
/** Where a board says how many numbers have been given out. */
export const countPosition = 4
export const placePosition = (place: number) => 4 * (2 + place)

/** In bytes. A segment is written over, never made longer, so that a sync has nothing to do but its bytes. */
export const segmentBytes = 16 * 1024 * 1024
export const headerBytes = 16 * 1024
const marksAt = 64
/** So many frames have a mark. */
export const maxFrames = headerBytes - marksAt
export const markPosition = (ordinal: number) => marksAt + ordinal

/** What has become of a frame. */
export const marks = {
  /** The record is here only. */
  pending: 0,
  /** It is a file too, which may not have been synced. */
  filed: 1,
  /** Files say what has become of it since: it is never to be made a file again. */
  void: 2,
} as const

export interface SegmentState {
  /** 0: it holds nothing. */
  readonly generation: number
  /** Where the last frame ends that is durable. */
  readonly end: number
  /** Nothing that is added from now on counts. */
  readonly isSealed: boolean
  /** It is about to be. */
  readonly isSealing: boolean
  /** Whether that was written since the system started. */
  readonly isOfThisBoot: boolean
}

const magic = 'slipwal1'
export const generationPosition = magic.length
/** Written by who fills the segment; all else by the owner of the folder. */
export const endPosition = generationPosition + 4
/** 0: open; 1: about to be sealed; otherwise where the last frame ends that counts. */
export const sealPosition = endPosition + 4
export const sealing = 1
export const bootPosition = sealPosition + 4
const bootLength = 16
const stateBytes = bootPosition + bootLength

/** A power cut leaves another one, and then only frames say where they end. */
const thisBoot = hash('sha256', bootId(), 'buffer').subarray(0, bootLength)

/** A header of a segment that nothing has been added to. */
export function encodeHeader(generation: number): Buffer {
  const header = Buffer.alloc(headerBytes)
  header.write(magic, 'latin1')
  header.writeUInt32LE(generation, generationPosition)
  header.writeUInt32LE(headerBytes, endPosition)
  thisBoot.copy(header, bootPosition)
  return header
}

/** Looks that may find a segment about to be sealed; its owner needs some us, unless it was killed at that. */
const sealingLooks = 1000

/** What is no header belongs to a segment that holds nothing. */
export function readState(fd: number, looks = sealingLooks): SegmentState {
  const header = Buffer.allocUnsafe(stateBytes)
  for (let left = looks; ; left--) {
    const got = fs.readSync(fd, header, 0, stateBytes, 0)
    if (got < stateBytes || header.toString('latin1', 0, magic.length) !== magic)
      return { generation: 0, end: headerBytes, isSealed: true, isSealing: false, isOfThisBoot: true }
    const seal = header.readUInt32LE(sealPosition)
    if (seal === sealing && left > 0) continue
    const generation = header.readUInt32LE(generationPosition)
    const end = header.readUInt32LE(endPosition)
    return {
      generation,
      end: seal > sealing ? Math.min(seal, end) : end,
      isSealed: seal !== 0,
      isSealing: seal === sealing,
      isOfThisBoot: header.subarray(bootPosition).equals(thisBoot),
    }
  }
}

/** Whether these are the first bytes of a header, or of a file that has none yet. */
export const isHeader = (bytes: Buffer) =>
  bytes.subarray(0, stateBytes).every(byte => byte === 0) ||
  bytes.toString('latin1', 0, magic.length) === magic

export const marksOf = (header: Buffer) => header.subarray(marksAt, headerBytes)

export function encodeWord(word: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(word)
  return bytes
}

/** crc32 of all that follows, generation, length of the bytes, length of the key; when it was written. */
const frameHead = 32
/** Of a record, in bytes: what is longer is no link with its blob. */
export const mostBytes = 64 * 1024

export const frameLength = (key: string, bytes: Uint8Array) => frameHead + key.length + bytes.length

/** When a frame was written, by two clocks. */
export interface Written {
  /** Since the epoch. */
  readonly writtenMs: number
  /** Since the system started, for all its processes: of two frames of a key the later one counts. */
  readonly bootNs: number
}

export const writtenNow = (): Written => ({ writtenMs: Date.now(), bootNs: Number(process.hrtime.bigint()) })

/** The two pieces of a frame: what is before the bytes, and the bytes. */
export function encodeFrame(generation: number, key: string, bytes: Uint8Array, written: Written) {
  const head = Buffer.allocUnsafe(frameHead + key.length)
  head.writeUInt32LE(generation, 4)
  head.writeUInt32LE(bytes.length, 8)
  head.writeUInt32LE(key.length, 12)
  head.writeDoubleLE(written.writtenMs, 16)
  head.writeDoubleLE(written.bootNs, 24)
  head.write(key, frameHead, 'latin1')
  head.writeUInt32LE(crc32(bytes, crc32(head.subarray(4))), 0)
  return [head, bytes] as const
}

export interface Frame extends Written {
  readonly key: string
  readonly bytes: Buffer
  /** Of all of it. */
  readonly length: number
}

/** The frame that begins at a position; undefined where none of this generation does, or its end is not there. */
export function parseFrame(from: Buffer, at: number, generation: number): Frame | undefined {
  if (at + frameHead > from.length || from.readUInt32LE(at + 4) !== generation) return undefined
  const bytesAt = at + frameHead + from.readUInt32LE(at + 12)
  const end = bytesAt + from.readUInt32LE(at + 8)
  if (end > from.length) return undefined
  return {
    key: from.toString('latin1', at + frameHead, bytesAt),
    writtenMs: from.readDoubleLE(at + 16),
    bootNs: from.readDoubleLE(at + 24),
    bytes: from.subarray(bytesAt, end),
    length: end - at,
  }
}

/** Whether a frame is as it was written: what a power cut tore, or a disk changed, is not. */
export const isWhole = (from: Buffer, at: number, { length }: Frame) =>
  crc32(from.subarray(at + 4, at + length)) === from.readUInt32LE(at)
