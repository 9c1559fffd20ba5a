/** A half-open range of bytes: `end` is the offset after the last one. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

const single = /^bytes=(?:(\d+)-(\d*)|-(\d+))$/

/**
 * What a Range header asks for of `size` bytes (RFC 9110, 14.2): `undefined` where the header is to be ignored (none,
 * another unit, several ranges), 'unsatisfiable' where it begins past the end or ends before it begins.
 */
export function parseRange(
  header: string | undefined,
  size: number,
): ByteRange | 'unsatisfiable' | undefined {
  if (header === undefined || !header.startsWith('bytes=')) return undefined
  const [, first, last, suffix] = single.exec(header) ?? []
  if (suffix !== undefined) {
    if (Number(suffix) === 0 || size === 0) return 'unsatisfiable'
    return { start: Math.max(0, size - Number(suffix)), end: size }
  }
  if (first === undefined) return header.includes(',') ? undefined : 'unsatisfiable'
  const start = Number(first)
  const end = last ? Math.min(size, Number(last) + 1) : size
  return start >= size || end <= start ? 'unsatisfiable' : { start, end }
}

const chunk = /^(?:bytes )?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/

/**
 * The Content-Range of a chunk (distribution specification, Pushing a blob in chunks: inclusive at both ends).
 * 'invalid' for anything else, or when it ends before it begins.
 */
export function parseContentRange(header: string | undefined): ByteRange | 'invalid' | undefined {
  if (header === undefined) return undefined
  const [, first, last] = chunk.exec(header.trim()) ?? []
  if (first === undefined || last === undefined) return 'invalid'
  const span = { start: Number(first), end: Number(last) + 1 }
  return span.end < span.start ? 'invalid' : span
}
