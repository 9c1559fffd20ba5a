/**
 * A thread that compares passwords with bcrypt hashes. The package works in JavaScript: on the event loop each
 * comparison would hold up every request for as long as it takes.
 */
import { parentPort } from 'node:worker_threads'
import { compareSync, truncates } from 'bcryptjs'

export interface Question {
  readonly password: string
  readonly hash: string
}

if (parentPort === null) throw new TypeError('bcrypt.ts is a worker thread')
const port = parentPort

port.on('message', ({ password, hash }: Question) => {
  // bcrypt looks at 72 bytes: two longer passwords that differ behind these would be the same.
  port.postMessage(compareSync(password, hash) && !truncates(password))
})
