/** A body in chunks of `chunkBytes` (RFC 9112, 7.1); one that is `open` lacks its end. */
export function chunked(bytes: Buffer, chunkBytes: number, end: 'whole' | 'open' = 'whole'): Buffer {
  const parts: (Buffer | string)[] = []
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const data = bytes.subarray(at, at + chunkBytes)
    parts.push(`${data.length.toString(16)}\r\n`, data, '\r\n')
  }
  if (end === 'whole') parts.push('0\r\n\r\n')
  return Buffer.concat(parts.map(part => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)))
}
