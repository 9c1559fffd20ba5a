/** An HTTP client that does what no library would: pipelines, stops reading, leaves in the middle. */
import { once } from 'node:events'
import { connect, type NetConnectOpts, type Socket } from 'node:net'

export interface RawClient extends AsyncDisposable {
  readonly socket: Socket
  /** Writes a GET for each path at once, without waiting for answers. */
  ask(...paths: readonly string[]): void
  /** The next answer, whole. Throws when the connection ends before it does. */
  answer(): Promise<Buffer>
  /** Waits for the head and the first byte of the next answer, and reads no further. */
  begin(): Promise<void>
}

export async function rawClient(to: NetConnectOpts): Promise<RawClient> {
  const socket = connect(to)
  // Every failure shows as an answer that ends too soon.
  socket.on('error', () => {})
  await once(socket, 'connect')
  let chunks: Buffer[] = []
  let held = 0

  const fill = async (bytes: number): Promise<void> => {
    while (held < bytes) {
      const chunk: Buffer | null = socket.read()
      if (chunk !== null) {
        chunks.push(chunk)
        held += chunk.length
      } else if (socket.readableEnded || socket.destroyed) {
        throw new Error(`connection ended after ${held} of ${bytes} bytes`)
      } else {
        // Whichever comes first; the other is not listened for any longer.
        const { signal, abort } = stopper()
        await Promise.race([once(socket, 'readable', { signal }), once(socket, 'close', { signal })]).finally(
          abort,
        )
      }
    }
  }
  const take = async (bytes: number): Promise<Buffer> => {
    await fill(bytes)
    const all = Buffer.concat(chunks)
    chunks = [all.subarray(bytes)]
    held -= bytes
    return all.subarray(0, bytes)
  }
  const headBytes = async (): Promise<number> => {
    for (;;) {
      const end = Buffer.concat(chunks).indexOf('\r\n\r\n')
      if (end >= 0) return end + 4
      await fill(held + 1)
    }
  }

  return {
    socket,
    ask(...paths) {
      socket.write(paths.map(path => `GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`).join(''))
    },
    async answer() {
      const head = await take(await headBytes())
      const length = /content-length: (\d+)/i.exec(head.toString())?.[1]
      return await take(Number(length))
    },
    async begin() {
      await fill((await headBytes()) + 1)
    },
    async [Symbol.asyncDispose]() {
      if (socket.closed) return
      socket.destroy()
      await once(socket, 'close')
    },
  }
}

function stopper() {
  const controller = new AbortController()
  return { signal: controller.signal, abort: () => controller.abort() }
}
