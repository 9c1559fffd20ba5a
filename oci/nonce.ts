import { randomBytes } from 'node:crypto'

const ofThisProcess = randomBytes(6).toString('base64url')
let count = 0

/** A word that no other call returns, in this process or another. Not a secret: the next one can be guessed. */
export function nonce(): string {
  return ofThisProcess + (++count).toString(36)
}
