import { createHash, randomFillSync } from 'node:crypto'
import { closeSync, fdatasyncSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Connection } from './connection.ts'
import { drive, type Load, type Report } from './drive.ts'

export interface PushJob extends Load {
  readonly kind: 'push'
  readonly repository: string
  /** The size of each blob. No content is ever pushed twice. */
  readonly bytes: number
  /** `chunked`: POST, PATCH in chunks as docker sends them, PUT. `whole`: POST, and PUT with the bytes. */
  readonly way: 'chunked' | 'whole'
  /** How many blobs, or for how long. */
  readonly until: { readonly count: number } | { readonly seconds: number }
  /** Where to keep memory for the server's pages; see holdBallast. */
  readonly ballastFolder?: string
}

/** What io.Copy of Go's library writes at a time, hence the size of docker's chunks. */
const chunkBytes = 32 * 1024
/** Ballast in blobs: more than the pushes take, since others on the machine take some too. */
const ballastRatio = 1.2
const minBallastBlobs = 6
const frameHead = Buffer.from(`${chunkBytes.toString(16)}\r\n`)

interface Blob {
  readonly digest: string
  /** As the wire has it: framed when chunked. */
  readonly pieces: readonly Uint8Array[]
}

export function runPush(job: PushJob): Promise<Report> {
  const make = blobMaker(job)
  if ('count' in job.until) {
    // Hashing large blobs takes a core: all of it is done before the clock starts.
    const blobs = Array.from({ length: job.until.count }, make)
    const ballast = holdBallast(job, blobs.length)
    return drive(
      job,
      () => blobs.pop(),
      (connection, blob) => {
        ballast.pop()?.release()
        return push(connection, job, blob)
      },
    )
  }
  const end = performance.now() + job.until.seconds * 1000
  return drive(
    job,
    () => (performance.now() < end ? make() : undefined),
    (connection, blob) => push(connection, job, blob),
  )
}

async function push(connection: Connection, job: PushJob, blob: Blob): Promise<number> {
  const host = `HTTP/1.1\r\nHost: 127.0.0.1:${job.port}\r\n`
  await connection.send(
    Buffer.from(`POST /v2/${job.repository}/blobs/uploads/ ${host}Content-Length: 0\r\n\r\n`),
  )
  let { location } = await connection.answer(202)
  if (job.way === 'chunked') {
    const fields = 'Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n'
    await connection.send(Buffer.from(`PATCH ${location} ${host}${fields}\r\n`))
    for (const piece of blob.pieces) await connection.send(piece)
    location = (await connection.answer(202)).location
  }
  const target = `${location}${location.includes('?') ? '&' : '?'}digest=${encodeURIComponent(blob.digest)}`
  if (job.way === 'chunked') {
    await connection.send(Buffer.from(`PUT ${target} ${host}Content-Length: 0\r\n\r\n`))
  } else {
    const fields = `Content-Type: application/octet-stream\r\nContent-Length: ${job.bytes}\r\n\r\n`
    await connection.send(Buffer.concat([Buffer.from(`PUT ${target} ${host}${fields}`), ...blob.pieces]))
  }
  await connection.answer(201)
  return job.bytes
}

interface Held {
  release(): void
}

/**
 * Pages of the page cache, some to let go as each push begins, so that the server's come from them. A virtual machine
 * gives what is free for a second back to its host and pays for it at the next touch: more than the push costs.
 */
function holdBallast({ ballastFolder, bytes }: PushJob, pushes: number): Held[] {
  if (ballastFolder === undefined) return []
  const each = bytes * Math.max(ballastRatio, minBallastBlobs / pushes)
  return Array.from({ length: pushes }, (_, index) =>
    holdPages(join(ballastFolder, `ballast-${index}`), each),
  )
}

function holdPages(file: string, bytes: number): Held {
  const piece = Buffer.alloc(chunkBytes)
  const descriptor = openSync(file, 'w')
  for (let held = 0; held < bytes; held += chunkBytes) writeSync(descriptor, piece)
  // Pages on their way to the disk could not be let go.
  fdatasyncSync(descriptor)
  closeSync(descriptor)
  return { release: () => unlinkSync(file) }
}

/** Blobs that differ in their first bytes and share the rest, so that sixteen of a hundred megabytes fit in memory. */
function blobMaker({ bytes, way }: PushJob): () => Blob {
  const content = randomFillSync(Buffer.alloc(bytes))
  const beginning = Math.min(chunkBytes, bytes)
  const rest = content.subarray(beginning)
  const restOnWire = way === 'chunked' ? Buffer.concat([...frames(rest), Buffer.from('0\r\n\r\n')]) : rest
  return () => {
    const first = Buffer.from(content.subarray(0, beginning))
    randomFillSync(first, 0, Math.min(16, beginning))
    const digest = `sha256:${createHash('sha256').update(first).update(rest).digest('hex')}`
    return { digest, pieces: [way === 'chunked' ? Buffer.concat([...frames(first)]) : first, restOnWire] }
  }
}

function* frames(content: Buffer): Generator<Buffer> {
  for (let at = 0; at < content.length; at += chunkBytes) {
    const piece = content.subarray(at, at + chunkBytes)
    yield piece.length === chunkBytes ? frameHead : Buffer.from(`${piece.length.toString(16)}\r\n`)
    yield piece
    yield Buffer.from('\r\n')
  }
}
