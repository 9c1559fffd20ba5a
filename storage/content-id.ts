import { randomBytes } from 'node:crypto'

/** An id for content: milliseconds since the epoch and 128 random bits, in hex. Never made twice, never guessed. */
export function newContentId(nowMs: number = Date.now()): string {
  return nowMs.toString(16).padStart(12, '0') + randomBytes(16).toString('hex')
}

const pattern = /^[0-9a-f]{44}$/
export const isContentId = (text: string) => pattern.test(text)
