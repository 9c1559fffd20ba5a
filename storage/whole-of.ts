import type { Readable } from 'node:stream'

/** All that a stream yields. `buffer` of `stream/consumers` goes by way of a Blob, which costs a small one three times as much. */
export async function wholeOf(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  const [first] = chunks
  return first && chunks.length === 1 ? first : Buffer.concat(chunks)
}
