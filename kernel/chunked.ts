/** A chunked body (RFC 9112, 7.1) as it passes by, in whatever pieces it comes. */

/** What the next byte belongs to. Plain data, so that another thread can go on from here. */
export interface ChunkedPlace {
  readonly expects: 'size' | 'size-lf' | 'data' | 'data-cr' | 'data-lf' | 'trailer' | 'trailer-lf' | 'nothing'
  /** Of data: bytes left in the chunk. Of a size: what its digits so far say. */
  readonly count: number
  /** Of a size: its digits so far. Of the trailers: the bytes of this line, and of all lines. */
  readonly seen: number
  readonly trailerBytes: number
}

export const chunkedStart: ChunkedPlace = { expects: 'size', count: 0, seen: 0, trailerBytes: 0 }

const CR = 0x0d
const LF = 0x0a
/** Sixteen to the power of twelve is more than any disk holds, and exact as a number. */
const MOST_DIGITS = 12
const MOST_TRAILER_BYTES = 8192

/**
 * Goes over bytes and calls `onData` with each range of them that is content. Returns the place behind them; bytes
 * behind the end of the body are left alone. Undefined: this is no chunked body. Chunk extensions are taken for that.
 */
export function readChunked(
  from: ChunkedPlace,
  bytes: Uint8Array,
  onData: (start: number, end: number) => void,
): ChunkedPlace | undefined {
  let { expects, count, seen, trailerBytes } = from
  for (let at = 0; at < bytes.length && expects !== 'nothing'; ) {
    if (expects === 'data') {
      const end = Math.min(bytes.length, at + count)
      onData(at, end)
      count -= end - at
      at = end
      if (count === 0) expects = 'data-cr'
      continue
    }
    const byte = bytes[at++] ?? 0
    switch (expects) {
      case 'size': {
        const digit = hexDigit(byte)
        if (digit !== undefined && seen < MOST_DIGITS) {
          count = count * 16 + digit
          seen++
        } else if (byte === CR && seen > 0) expects = 'size-lf'
        else return undefined
        break
      }
      case 'size-lf':
        if (byte !== LF) return undefined
        expects = count > 0 ? 'data' : 'trailer'
        seen = 0
        break
      case 'data-cr':
        if (byte !== CR) return undefined
        expects = 'data-lf'
        break
      case 'data-lf':
        if (byte !== LF) return undefined
        expects = 'size'
        break
      case 'trailer':
        if (++trailerBytes > MOST_TRAILER_BYTES || byte === LF) return undefined
        if (byte === CR) expects = 'trailer-lf'
        else seen++
        break
      case 'trailer-lf':
        if (byte !== LF) return undefined
        // An empty line ends the trailers, and with them the body.
        expects = seen === 0 ? 'nothing' : 'trailer'
        seen = 0
        break
    }
  }
  return { expects, count, seen, trailerBytes }
}

function hexDigit(byte: number): number | undefined {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : undefined
}
