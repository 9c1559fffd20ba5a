/**
 * The write-ahead log of a folder (docs/decisions/0025): records that many share a sync for, and that become files later.
 *
 *   wal/board   which segments there are: how many numbers have been given out, and then a number for each, or 0
 *   wal/<n>     segment n, 16 MiB, filled by one process and by no other: a header, and frames one after another
 *   wal/staged  a record that is about to get its name
 *
 * A header holds the state of the segment and a mark for each frame. A segment is used again with another generation, so
 * that frames of an earlier use end the scan of a later one. Numbers are little-endian. The board, and where the header
 * says that the frames end, are for processes that run; a power cut leaves frames, and their checksums say which are whole.
 */
import { crc32 } from 'node:zlib'

export const walFolder = 'wal'
export const segmentPath = (root: string, number: number) => `${root}/${walFolder}/${number}`
export const stagedPath = (root: string) => `${root}/${walFolder}/staged`
export const boardPath = (root: string) => `${root}/${walFolder}/board`

/** So many segments have a place on the board. */
export const maxSegments = 255
export const boardBytes = 4 * (1 + maxSegments)
/** Where a board says how many numbers have been given out. */
export const countPosition = 0
export const placePosition = (place: number) => 4 * (1 + place)

/** In bytes. A segment is written over, never made longer, so that a sync has nothing to do but its bytes. */
export const segmentBytes = 16 * 1024 * 1024
export const headerBytes = 16 * 1024
const marksAt = 32
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
  /** Where its last frame ends. */
  readonly end: number
  /** Nothing that is added from now on counts. */
  readonly isSealed: boolean
}

const magic = 'slipwal1'
const generationAt = magic.length
/** Written by who fills the segment; all else by the owner of the folder. */
export const endPosition = generationAt + 4
export const sealPosition = endPosition + 4
/** What has to be read of a header to know its state. */
export const stateBytes = sealPosition + 4

/** A header of a segment that nothing has been added to. */
export function encodeHeader(generation: number): Buffer {
  const header = Buffer.alloc(headerBytes)
  header.write(magic, 'latin1')
  header.writeUInt32LE(generation, generationAt)
  header.writeUInt32LE(headerBytes, endPosition)
  return header
}

/** What is no header belongs to a segment that holds nothing. */
export function parseState(header: Buffer): SegmentState {
  if (header.length < stateBytes || header.toString('latin1', 0, magic.length) !== magic)
    return { generation: 0, end: headerBytes, isSealed: true }
  return {
    generation: header.readUInt32LE(generationAt),
    end: header.readUInt32LE(endPosition),
    isSealed: header.readUInt32LE(sealPosition) !== 0,
  }
}

export const marksOf = (header: Buffer) => header.subarray(marksAt, headerBytes)

export function encodeWord(word: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(word)
  return bytes
}

/** crc32 of all that follows, generation, length of the bytes, length of the key; when it was written, in ms. */
const frameHead = 24

/** Of a record, in bytes: what is longer is no link with its blob. */
export const mostBytes = 64 * 1024

export const frameLength = (key: string, bytes: Uint8Array) => frameHead + key.length + bytes.length

/** The two pieces of a frame: what is before the bytes, and the bytes. */
export function encodeFrame(generation: number, key: string, bytes: Uint8Array, writtenMs: number) {
  const head = Buffer.allocUnsafe(frameHead + key.length)
  head.writeUInt32LE(generation, 4)
  head.writeUInt32LE(bytes.length, 8)
  head.writeUInt32LE(key.length, 12)
  head.writeDoubleLE(writtenMs, 16)
  head.write(key, frameHead, 'latin1')
  head.writeUInt32LE(crc32(bytes, crc32(head.subarray(4))), 0)
  return [head, bytes] as const
}

export interface Frame {
  readonly key: string
  readonly writtenMs: number
  readonly bytes: Buffer
  /** Of all of it. */
  readonly length: number
}

/** The frame that begins at a position; undefined where no whole one of this generation does. */
export function parseFrame(from: Buffer, at: number, generation: number): Frame | undefined {
  if (at + frameHead > from.length || from.readUInt32LE(at + 4) !== generation) return undefined
  const bytesAt = at + frameHead + from.readUInt32LE(at + 12)
  const end = bytesAt + from.readUInt32LE(at + 8)
  if (end > from.length) return undefined
  return {
    key: from.toString('latin1', at + frameHead, bytesAt),
    writtenMs: from.readDoubleLE(at + 16),
    bytes: from.subarray(bytesAt, end),
    length: end - at,
  }
}

/** Whether a frame is as it was written: what a power cut tore is not. */
export const isWhole = (from: Buffer, at: number, { length }: Frame) =>
  crc32(from.subarray(at + 4, at + length)) === from.readUInt32LE(at)
