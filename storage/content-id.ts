import { randomUUID } from 'node:crypto'

/** An id for content: milliseconds since the epoch and 122 random bits, in hex. Never made twice, never guessed. */
export function newContentId(nowMs: number = Date.now()): string {
  return nowMs.toString(16).padStart(12, '0') + randomUUID().replaceAll('-', '')
}

/** When an id was made, in ms since the epoch. */
export const madeMs = (id: string) => Number.parseInt(id.slice(0, 12), 16)

const pattern = /^[0-9a-f]{44}$/
export const isContentId = (text: string) => pattern.test(text)
