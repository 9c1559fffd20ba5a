import { once } from 'node:events'
import { getCompileCacheDir } from 'node:module'
import { dirname, extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Io } from '../oci/io.ts'
import type { Question } from './bcrypt.ts'
import { gate } from './gate.ts'

export interface BcryptThread {
  /** Whether this is the password of a bcrypt hash. Throws Busy when it was not looked at. */
  verify(password: string, hash: string, io: Io): Promise<boolean>
  /** Ends the thread; who waits for it learns that it has ended. */
  close(): Promise<void>
}

/** At the usual cost of 10, one takes a tenth of a second: who is last waits about two. */
const mostWaiting = 16

/** Starts with the first question, holds no process open, and starts again after it has broken. */
export function bcryptThread(): BcryptThread {
  const inTurn = gate({ atOnce: 1, waiting: mostWaiting })
  let thread: Worker | undefined

  async function ask(question: Question): Promise<boolean> {
    thread ??= start()
    const asked = thread
    const ended = new AbortController()
    const end = () => ended.abort()
    asked.once('exit', end)
    asked.ref()
    try {
      asked.postMessage(question)
      const [answer] = await once(asked, 'message', { signal: ended.signal })
      return answer === true
    } catch (cause) {
      if (thread === asked) thread = undefined
      throw new Error('the thread that compares bcrypt hashes has ended', { cause })
    } finally {
      asked.off('exit', end)
      asked.unref()
    }
  }

  return {
    verify: (password, hash, io) => inTurn(() => ask({ password, hash }), io),
    async close() {
      const running = thread
      thread = undefined
      await running?.terminate()
    },
  }
}

function start(): Worker {
  const file = new URL(`./bcrypt${extname(import.meta.filename)}`, import.meta.url)
  // Without the cache the thread loads the type stripper once more. It gets nothing else of our environment.
  const cache = getCompileCacheDir()
  const env = cache === undefined ? {} : { NODE_COMPILE_CACHE: dirname(cache) }
  const thread = new Worker(file, { name: 'bcrypt', execArgv: [], env })
  thread.on('error', () => {
    // `once` in `ask` fails with it; this keeps it from being uncaught when nobody asks.
  })
  thread.unref()
  return thread
}
