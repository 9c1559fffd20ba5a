import type net from 'node:net'
import { createInterface } from 'node:readline'
import { type Fault, RegistryError } from '../oci/errors.ts'
import type { Written } from './object-store.ts'
import type { Hello, OwnerAnswer, OwnerRequest } from './owner.ts'
import type { Referee } from './referee.ts'

type Question = OwnerRequest extends infer R ? (R extends OwnerRequest ? Omit<R, 'id'> : never) : never

interface Pending {
  resolve(result: unknown): void
  reject(error: Error): void
}

/** A referee in another process. Everything under way is refused with STORAGE_UNAVAILABLE when that process ends. */
export interface OwnerClient extends Referee {
  hello(): Promise<Hello>
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
      if (socket.destroyed) return reject(gone())
      const id = ++asked
      pending.set(id, { resolve: result => resolve(result as T), reject })
      socket.ref()
      socket.write(`${JSON.stringify({ id, ...question })}\n`)
    })
  }

  const lines = createInterface({ input: socket }).on('line', line => {
    const answer = JSON.parse(line) as OwnerAnswer
    const waiting = pending.get(answer.id)
    pending.delete(answer.id)
    if (pending.size === 0) socket.unref()
    if ('fault' in answer) waiting?.reject(errorOf(answer))
    else waiting?.resolve(answer.result)
  })
  // The reader of lines repeats the socket's error, and what nobody hears ends the process.
  for (const source of [socket, lines]) source.on('error', () => socket.destroy())
  socket.on('close', () => {
    for (const { reject } of pending.values()) reject(gone())
    pending.clear()
  })

  return {
    hello: () => ask<Hello>({ op: 'hello' }),
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
