/** What a receiver of files is told, and a file to receive into. */
import { createHash } from 'node:crypto'
import { closeSync, mkdtempDisposableSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chunkedStart } from '../../kernel/chunked.ts'
import { type FileReceiver, fileReceiver, type Reception } from '../../kernel/receiver.ts'

export const inChunks = { kind: 'chunked', place: chunkedStart } as const
export const inOne = (length: number) => ({ kind: 'length', bytes: length }) as const
export const nothing = Buffer.alloc(0)

export const hashOf = (content: Buffer, algorithm = 'sha256') =>
  createHash(algorithm).update(content).digest('hex')

export function started(onLost: (cause: Error) => void = () => {}): FileReceiver & AsyncDisposable {
  const receiver = fileReceiver(onLost)
  return { ...receiver, [Symbol.asyncDispose]: () => receiver.close() }
}

export interface Target extends Disposable {
  readonly fd: number
  content(): Promise<Buffer>
}

/** A new file to receive into, as long as it is used. */
export function target(): Target {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'slipway-target-'))
  const path = join(folder.path, 'file')
  const fd = openSync(path, 'w')
  return {
    fd,
    content: () => readFile(path),
    [Symbol.dispose]() {
      closeSync(fd)
      folder.remove()
    },
  }
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
