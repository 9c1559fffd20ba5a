import type net from 'node:net'
import { createInterface } from 'node:readline'
import { type Fault, RegistryError } from '../oci/errors.ts'
import type { Written } from './object-store.ts'
import type { Hello, OwnerAnswer, OwnerRequest } from './owner.ts'
import type { Referee } from './referee.ts'
import type { Lease } from './wal-writer.ts'

type Question = OwnerRequest extends infer R ? (R extends OwnerRequest ? Omit<R, 'id'> : never) : never

interface Pending {
  resolve(result: unknown): void
  reject(error: Error): void
}

/** The owner has left without looking at a question: it can be asked of the next one. */
export class OwnerLeft extends RegistryError {
  constructor() {
    super('STORAGE_UNAVAILABLE', { message: 'the process that owned the data folder has given it up' })
  }
}

/**
 * A referee in another process. When that process ends, everything under way is refused with STORAGE_UNAVAILABLE: as
 * OwnerLeft where it was surely not done.
 */
export interface OwnerClient extends Referee {
  hello(): Promise<Hello>
  /** What the owner lends, beside what this process still holds; undefined: not now. */
  lease(holding: number | undefined): Promise<Lease | undefined>
}

export function ownerClient(socket: net.Socket): OwnerClient {
  const pending = new Map<number, Pending>()
  let asked = 0
  // Only a question without an answer keeps this process running.
  socket.unref()

  const gone = () =>
    new RegistryError('STORAGE_UNAVAILABLE', { message: 'the process that owns the data folder has ended' })

  function errorOf(answer: Extract<OwnerAnswer, { fault: string }>): Error {
    const { fault, code, message } = answer
    if (fault === 'UNKNOWN') return Object.assign(new Error(message), code === undefined ? {} : { code })
    return new RegistryError(fault as Fault, { message })
  }

  /** The owner answers what it was asked: its type is the caller's. */
  function ask<T>(question: Question): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (socket.destroyed) return reject(new OwnerLeft())
      const id = ++asked
      pending.set(id, { resolve: result => resolve(result as T), reject })
      socket.ref()
      socket.write(`${JSON.stringify({ id, ...question })}\n`)
    })
  }

  const lines = createInterface({ input: socket }).on('line', line => {
    const answer = JSON.parse(line) as OwnerAnswer
    if ('leaving' in answer) return leave(new OwnerLeft())
    const waiting = pending.get(answer.id)
    pending.delete(answer.id)
    if (pending.size === 0) socket.unref()
    if ('fault' in answer) waiting?.reject(errorOf(answer))
    else waiting?.resolve(answer.result)
  })
  // The reader of lines repeats the socket's error, and what nobody hears ends the process.
  for (const source of [socket, lines]) source.on('error', () => socket.destroy())
  socket.on('close', () => leave(gone()))

  function leave(reason: RegistryError): void {
    for (const { reject } of pending.values()) reject(reason)
    pending.clear()
    socket.destroy()
  }

  return {
    hello: () => ask<Hello>({ op: 'hello' }),
    lease: holding => ask<Lease | undefined>({ op: 'lease', holding }),
    replaceIf: (key, bytes, etag, deadlineMs) =>
      ask<Written>({ op: 'replace', key, bytes: Buffer.from(bytes).toString('base64'), etag, deadlineMs }),
    removeIf: (key, etag, deadlineMs) => ask<boolean>({ op: 'remove', key, etag, deadlineMs }),
    async lock(name) {
      if (!(await ask<boolean>({ op: 'lock', key: name }))) return undefined
      return async () => {
        await ask<boolean>({ op: 'unlock', key: name })
      }
    },
    async close() {
      socket.destroy()
    },
  }
}
