import type { Readable } from 'node:stream'

/**
 * All that a stream of buffers yields; its chunk itself if there is only one. Nothing else is kept in memory by it. `buffer`
 * of `stream/consumers` goes by way of a Blob, which costs a small one three times as much.
 */
export async function wholeOf(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of stream) {
    chunks.push(chunk)
    length += chunk.length
  }
  const [first] = chunks
  if (first && chunks.length === 1) return first
  const whole = Buffer.allocUnsafeSlow(length)
  let at = 0
  for (const chunk of chunks) at += chunk.copy(whole, at)
  return whole
}
