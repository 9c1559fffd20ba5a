/** Uploads step by step, and clients that vanish in the middle of one. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Digest } from '../../oci/names.ts'
import { secret } from './canaries.ts'
import type { Repository } from './push.ts'

/** An unfinished upload, as the server's answers describe it. */
export interface Upload {
  /** The address to go on with. */
  readonly url: URL
  /** How many bytes it holds. */
  readonly size: number
}

export async function startUpload({ address, name }: Repository): Promise<Upload> {
  return uploadOf(await fetch(new URL(`/v2/${name}/blobs/uploads/`, address), { method: 'POST' }), 202)
}

/** Where an upload stands, by any address that it ever had. */
export async function uploadStatus({ url }: Upload): Promise<Upload> {
  return uploadOf(await fetch(url), 204)
}

export async function append({ url, size }: Upload, bytes: Buffer): Promise<Upload> {
  const headers = { 'Content-Range': `${size}-${size + bytes.length - 1}` }
  return uploadOf(await fetch(url, { method: 'PATCH', headers, body: new Uint8Array(bytes) }), 202)
}

/** Sends the last bytes, all of them or none, and resolves to the answer. */
export function finish({ url }: Upload, digest: Digest, bytes: Buffer = Buffer.alloc(0)): Promise<Response> {
  return fetch(finishUrl(url, digest), { method: 'PUT', body: new Uint8Array(bytes) })
}

export function finishUrl(url: URL, digest: Digest): URL {
  const target = new URL(url)
  target.searchParams.set('digest', digest)
  return target
}

export function cancel({ url }: Upload): Promise<Response> {
  return fetch(url, { method: 'DELETE' })
}

/** The same upload at a server that has been started again elsewhere. */
export function movedTo(address: string, { url, size }: Upload): Upload {
  return { url: new URL(url.pathname + url.search, address), size }
}

async function uploadOf(answer: Response, status: number): Promise<Upload> {
  if (answer.status !== status)
    throw new Error(`${answer.url} answered ${answer.status}: ${await answer.text()}`)
  const last = Number(/^0-(\d+)$/.exec(answer.headers.get('Range') ?? '')?.[1])
  // An upload of nothing says 0-0 as well: none of these tests has one of a single byte.
  const url = new URL(answer.headers.get('Location') ?? '', answer.url)
  // The last word of its path opens it.
  secret(url.pathname.slice(url.pathname.lastIndexOf('/') + 1))
  return { url, size: last === 0 ? 0 : last + 1 }
}

export type Framing = 'length' | 'chunked'

/** A request whose body its client can send as slowly as it likes. Disposing of it resets the connection. */
export interface SlowRequest extends AsyncDisposable {
  send(bytes: Buffer): Promise<void>
  /** Ends a body in chunks; one of a given length ends by itself. */
  end(): void
  /** Status and headers of the answer, as they came; empty when the connection ended without one. */
  readonly answer: Promise<string>
}

/** Begins a request with a body of `length` bytes. */
export async function slowRequest(
  method: string,
  url: URL,
  length: number,
  options: Framing | { readonly headers: Readonly<Record<string, string>> } = 'length',
): Promise<SlowRequest> {
  const { framing, headers } =
    typeof options === 'string' ? { framing: options, headers: {} } : { framing: 'length', ...options }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const socket = connect({ host: url.hostname, port: Number(url.port) })
  socket.on('error', () => {})
  await once(socket, 'connect')
  const body = framing === 'length' ? `Content-Length: ${length}` : 'Transfer-Encoding: chunked'
  const chunked = framing === 'chunked'
  await written(
    socket,
    `${method} ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\n${lines.join('')}${body}\r\n\r\n`,
  )
  return {
    answer: headOf(socket),
    async send(bytes) {
      if (chunked) await written(socket, `${bytes.length.toString(16)}\r\n`)
      await written(socket, bytes)
      if (chunked) await written(socket, '\r\n')
    },
    end() {
      if (chunked) socket.write('0\r\n\r\n')
    },
    async [Symbol.asyncDispose]() {
      if (socket.closed) return
      // One that the other side has reset before has nothing to reset any more: it says so, and never that it is closed.
      const closed = once(socket, 'close').catch(() => {})
      socket.resetAndDestroy()
      await closed
    },
  }
}

/** Resolves when the kernel has taken it, or the connection is gone. */
function written(socket: Socket, data: string | Buffer): Promise<void> {
  return new Promise(resolve => {
    const settle = () => {
      socket.off('close', settle)
      resolve()
    }
    socket.once('close', settle)
    socket.write(data, settle)
  })
}

function headOf(socket: Socket): Promise<string> {
  return new Promise(resolve => {
    let text = ''
    socket.setEncoding('latin1')
    socket.on('data', chunk => {
      text += chunk
      if (text.includes('\r\n\r\n')) resolve(text)
    })
    socket.once('close', () => resolve(text))
  })
}
