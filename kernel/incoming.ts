/** One body on its way from a socket into a file, hashed as it passes. */
import { createHash } from 'node:crypto'
import { writeSync } from 'node:fs'
import { getSystemErrorName } from 'node:util'
import { type ChunkedPlace, readChunked } from './chunked.ts'
import { EPOLLIN, isTryLater, type Syscalls } from './syscalls.ts'
import type { Transfer, TransferEnd } from './transfers.ts'

/** How the rest of a body says where it ends. */
export type Framing =
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked'; readonly place: ChunkedPlace }

/** How fast a body must arrive. */
export interface ArrivalPace {
  /** Longest silence. */
  readonly idleMs: number
  /** Least average, once the first `idleMs` are over. */
  readonly bytesPerSecond: number
}

export interface ReceiveCommand {
  readonly kind: 'receive'
  readonly socket: number
  readonly file: number
  /** Where in the file its bytes go. */
  readonly position: number
  /** What has been read of the body already, without its framing. */
  readonly first: Uint8Array
  readonly framing: Framing
  /** As node:crypto calls it. */
  readonly algorithm: string
  readonly pace: ArrivalPace
}

/** Fits the second-level cache, where the bytes stay from the read over the hash to the write. */
const buffer = Buffer.allocUnsafeSlow(256 * 1024)
/**
 * Larger writes get larger folios of the page cache. Where free memory goes back to a hypervisor those come from there,
 * at twice the price of the whole write.
 */
const WRITE_BYTES = 32 * 1024
/** What is smaller is moved to what is before it: a chunk of one byte must not cost a write. */
const SMALL_BYTES = 4096

export function incoming(syscalls: Syscalls, command: ReceiveCommand): Transfer {
  const { socket, file, pace, position: start } = command
  const hash = createHash(command.algorithm)
  const startedMs = performance.now()
  let { position, framing } = command
  let heardMs = startedMs
  let first: Uint8Array | undefined = command.first

  /** Throws what the disk says; what was written until then counts. */
  function store(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      // After a short write, which means that the disk is nearly full, the next one gets the error that says so.
      const written = writeSync(file, bytes, at, Math.min(WRITE_BYTES, bytes.length - at), position)
      at += written
      position += written
    }
    hash.update(bytes)
  }

  /** The content in these bytes of the body; undefined where they are no body. */
  function unframe(bytes: Uint8Array): readonly Uint8Array[] | undefined {
    if (framing.kind === 'length') {
      framing = { kind: 'length', bytes: framing.bytes - bytes.length }
      return [bytes]
    }
    const parts: { readonly start: number; end: number }[] = []
    const place = readChunked(framing.place, bytes, (start, end) => {
      const last = parts.at(-1)
      if (last && end - start < SMALL_BYTES) {
        bytes.copyWithin(last.end, start, end)
        last.end += end - start
      } else parts.push({ start, end })
    })
    if (place) framing = { kind: 'chunked', place }
    return place && parts.map(({ start, end }) => bytes.subarray(start, end))
  }

  const isWhole = () =>
    framing.kind === 'length' ? framing.bytes === 0 : framing.place.expects === 'nothing'

  return {
    interest: EPOLLIN,
    get moved() {
      return position - start
    },
    turn(): TransferEnd | undefined {
      if (first) {
        store(first)
        first = undefined
        if (isWhole()) return { digest: hash.digest('hex') }
      }
      const most = framing.kind === 'length' ? Math.min(buffer.length, framing.bytes) : buffer.length
      const got = syscalls.receive(socket, buffer, most)
      if (got === 0) return { failure: 'ECONNRESET' }
      if (got < 0) return isTryLater(got) ? undefined : { failure: getSystemErrorName(got) }
      heardMs = performance.now()
      const parts = unframe(buffer.subarray(0, got))
      if (!parts) return { failure: 'EBADMSG' }
      for (const part of parts) store(part)
      return isWhole() ? { digest: hash.digest('hex') } : undefined
    },
    isOverdue(nowMs) {
      const elapsedMs = nowMs - startedMs
      if (elapsedMs < pace.idleMs) return false
      return nowMs - heardMs > pace.idleMs || ((position - start) * 1000) / elapsedMs < pace.bytesPerSecond
    },
  }
}
