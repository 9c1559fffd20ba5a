import { randomUUID } from 'node:crypto'

/**
 * An id for content: milliseconds since the epoch and 122 random bits, in hex. Never made twice, never guessed. `start`,
 * of at most eight digits, takes the place of the first random ones.
 */
export function newContentId(start = ''): string {
  return (
    Date.now().toString(16).padStart(12, '0') + start + randomUUID().replaceAll('-', '').slice(start.length)
  )
}

/** The `start` of eight digits that an id was made with. */
export const contentStart = (id: string) => id.slice(12, 20)

/** When an id was made, in ms since the epoch. */
export const madeMs = (id: string) => Number.parseInt(id.slice(0, 12), 16)

const pattern = /^[0-9a-f]{44}$/
export const isContentId = (text: string) => pattern.test(text)
