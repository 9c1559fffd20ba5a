/**
 * A thread that hashes what was given as a password, which is made to be slow. On the event loop it would hold up every
 * request, among libuv's threads every read of a file; and wherever it runs, it takes a core from somebody. So this
 * thread gives way: it has what everything else leaves.
 */
import { type Argon2Parameters, argon2Sync } from 'node:crypto'
import { getPriority, setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { compareSync, truncates } from 'bcryptjs'

export type Question =
  | { readonly kind: 'argon2id'; readonly parameters: Argon2Parameters }
  | { readonly kind: 'bcrypt'; readonly password: string; readonly hash: string }

/** A tenth of what somebody else gets who wants the same core; enough to come to an end. */
const niceness = 10
const lowestPriority = 19

if (parentPort === null) throw new TypeError('hashing.ts is a worker thread')
const port = parentPort
giveWay()

port.on('message', (question: Question) => {
  port.postMessage(answerTo(question))
})

function answerTo(question: Question): boolean | Uint8Array {
  if (question.kind === 'argon2id') return argon2Sync('argon2id', question.parameters)
  const { password, hash } = question
  // bcrypt looks at 72 bytes: two longer passwords that differ behind these would be the same.
  return compareSync(password, hash) && !truncates(password)
}

function giveWay(): void {
  // Elsewhere a priority is not a thread's but that of the whole process.
  if (process.platform !== 'linux') return
  try {
    setPriority(Math.min(lowestPriority, getPriority() + niceness))
  } catch {
    // Where that is forbidden passwords are hashed all the same.
  }
}
