/** What a receiver of files works with: a connection that nobody reads from, and a file. */
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { chunkedStart } from '../../kernel/chunked.ts'
import { type FileReceiver, fileReceiver, type Reception } from '../../kernel/receiver.ts'

export const inChunks = { kind: 'chunked', place: chunkedStart } as const
export const inOne = (length: number) => ({ kind: 'length', bytes: length }) as const
export const nothing = Buffer.alloc(0)

export const openDescriptors = () => readdirSync('/proc/self/fd').length
export const hashOf = (content: Buffer, algorithm = 'sha256') =>
  createHash(algorithm).update(content).digest('hex')

export function started(onLost: (cause: Error) => void = () => {}): FileReceiver & AsyncDisposable {
  const receiver = fileReceiver(onLost)
  return { ...receiver, [Symbol.asyncDispose]: () => receiver.close() }
}

export interface Pair extends AsyncDisposable {
  readonly fd: () => number | undefined
  readonly near: Socket
  readonly far: Socket
}

/** Two ends of one TCP connection; the near one is what a server has, and nobody reads from it. */
export async function pair(): Promise<Pair> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('not a TCP server')
  const far = connect({ port: address.port, noDelay: true })
  const [near]: Socket[] = await once(server, 'connection')
  if (near === undefined) throw new TypeError('no connection')
  for (const socket of [near, far]) socket.on('error', () => {})
  return {
    // The same private field that the server reads.
    fd: () => (near as unknown as { _handle: { fd: number } | null })._handle?.fd,
    near,
    far,
    async [Symbol.asyncDispose]() {
      near.destroy()
      far.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

export interface Target extends Disposable {
  readonly fd: number
  content(): Promise<Buffer>
}

/** A new file to receive into. */
export function target(folder: string): Target {
  const path = join(folder, randomUUID())
  const fd = openSync(path, 'w')
  return { fd, content: () => readFile(path), [Symbol.dispose]: () => closeSync(fd) }
}

export const reception = (file: number, more: Partial<Reception>): Reception => ({
  file,
  position: 0,
  first: nothing,
  framing: inChunks,
  algorithm: 'sha256',
  pace: { idleMs: 60_000, bytesPerSecond: 1 },
  ...more,
})
