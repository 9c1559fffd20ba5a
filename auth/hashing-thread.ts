import type { Argon2Parameters } from 'node:crypto'
import { once } from 'node:events'
import { getCompileCacheDir } from 'node:module'
import { dirname, extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Io } from '../oci/io.ts'
import { gate } from './gate.ts'
import type { Question } from './hashing.ts'

/** Hashes passwords, one at a time. What is asked throws Busy when too many wait. */
export interface HashingThread {
  argon2id(parameters: Argon2Parameters, io: Io): Promise<Uint8Array>
  /** Whether this is the password of a bcrypt hash. */
  isBcryptOf(hash: string, password: string, io: Io): Promise<boolean>
  /** Ends the thread; who waits for it learns that it has ended. */
  close(): Promise<void>
}

/** On a core that has nothing else to do, argon2id takes a fiftieth of a second, and bcrypt at the usual cost a tenth. */
const mostWaiting = 64

/** Starts with the first question, holds no process open, and starts again after it has broken. */
export function hashingThread(waiting = mostWaiting): HashingThread {
  const inTurn = gate({ atOnce: 1, waiting })
  let thread: Worker | undefined

  async function ask(question: Question): Promise<unknown> {
    thread ??= start()
    const asked = thread
    const ended = new AbortController()
    const end = () => ended.abort()
    asked.once('exit', end)
    asked.ref()
    try {
      asked.postMessage(question)
      const [answer] = await once(asked, 'message', { signal: ended.signal })
      return answer
    } catch (cause) {
      if (thread === asked) thread = undefined
      throw new Error('the thread that hashes passwords has ended', { cause })
    } finally {
      asked.off('exit', end)
      asked.unref()
    }
  }

  return {
    async argon2id(parameters, io) {
      const tag = await inTurn(() => ask({ kind: 'argon2id', parameters }), io)
      if (tag instanceof Uint8Array) return tag
      throw new TypeError('the thread that hashes passwords answered another question')
    },
    async isBcryptOf(hash, password, io) {
      return (await inTurn(() => ask({ kind: 'bcrypt', password, hash }), io)) === true
    },
    async close() {
      const running = thread
      thread = undefined
      await running?.terminate()
    },
  }
}

function start(): Worker {
  const file = new URL(`./hashing${extname(import.meta.filename)}`, import.meta.url)
  // Without the cache the thread loads the type stripper once more. It gets nothing else of our environment.
  const cache = getCompileCacheDir()
  const env = cache === undefined ? {} : { NODE_COMPILE_CACHE: dirname(cache) }
  const thread = new Worker(file, { name: 'hashing', execArgv: [], env })
  thread.on('error', () => {
    // `once` in `ask` fails with it; this keeps it from being uncaught when nobody asks.
  })
  thread.unref()
  return thread
}
