/**
 * Secrets of machines:
 *
 *   slw_<kind>_<id: 10 of base32>_<secret: 32 of base62><crc32: 6 of base62>
 *
 * The beginning is for those who scan for leaked secrets, the id is for looking it up, the checksum tells a typing
 * error from a guess. The secret has 190 bits, so a plain SHA-256 of the whole is all that must be kept.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { base32, randomWord } from './random.ts'

const letters = { personal: 'p', robot: 'r', setup: 's' } as const
export type SecretKind = keyof typeof letters

export interface Secret {
  /** To be shown once and never kept. */
  readonly text: string
  readonly kind: SecretKind
  /** Finds the record of the secret; not itself a secret. */
  readonly id: string
}

export interface NewSecret extends Secret {
  readonly sha256: string
}

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const form = /^slw_([prs])_([a-z2-7]{10})_[0-9A-Za-z]{38}$/
const checksumLength = 6

export function makeSecret(kind: SecretKind): NewSecret {
  const id = randomWord(base32, 10)
  const unchecked = `slw_${letters[kind]}_${id}_${randomWord(base62, 32)}`
  const text = `${unchecked}${checksum(unchecked)}`
  return { text, kind, id, sha256: sha256Of(text).toString('hex') }
}

/** Whether a text means to be a secret of this form. Such a text is nobody's password. */
export function isSecretLike(text: string): boolean {
  return text.startsWith('slw_')
}

/** Undefined when the text was never made by `makeSecret`: there is no need to look it up. */
export function parseSecret(text: string): Secret | undefined {
  const [, letter, id = ''] = form.exec(text) ?? []
  const kind = kinds.find(each => letters[each] === letter)
  if (kind === undefined || checksum(text.slice(0, -checksumLength)) !== text.slice(-checksumLength))
    return undefined
  return { text, kind, id }
}

/** Whether this is the secret of which `sha256` was kept. Takes the same time however much of it is right. */
export function isSecretOf({ text }: Secret, sha256: string): boolean {
  const kept = Buffer.from(sha256, 'hex')
  const found = sha256Of(text)
  return kept.length === found.length && timingSafeEqual(kept, found)
}

// Object.keys knows no more than string; the table has no other keys.
const kinds = Object.keys(letters) as SecretKind[]

const sha256Of = (text: string) => createHash('sha256').update(text).digest()

function checksum(text: string): string {
  let rest = crc32(text)
  let digits = ''
  for (let place = 0; place < checksumLength; place++) {
    digits = `${base62[rest % 62]}${digits}`
    rest = Math.floor(rest / 62)
  }
  return digits
}
