/** Passwords of people: argon2id with the parameters that OWASP recommends, kept in PHC form. */
import { type Argon2Parameters, argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { Io } from '../oci/io.ts'

/** Throws Busy when too many wait for it. */
export type Argon2id = (parameters: Argon2Parameters, io: Io) => Promise<Uint8Array>

export interface Passwords {
  /** What to keep of a password. Throws Busy. */
  hash(password: string, io: Io): Promise<string>
  /**
   * Whether this is the password of which `stored` was kept. Takes as long for an account without one. Throws Busy when
   * it was not looked at, and an Error when `stored` cannot be read.
   */
  verify(password: string, stored: string | undefined, io: Io): Promise<boolean>
}

interface Kept {
  readonly memory: number
  readonly passes: number
  readonly parallelism: number
  readonly nonce: Buffer
  readonly tag: Uint8Array
}

const current = { memory: 19_456, passes: 2, parallelism: 1 } as const
const nonceBytes = 16
const tagBytes = 32
const minLength = 12
/** Longer ones are nobody's; they would only cost time to normalise. */
const maxLength = 256

/** `argon2id` is where it is hashed; commands, which have nothing else to do, leave that to libuv. */
export function passwords(argon2id: Argon2id = byLibuv): Passwords {
  const nobody: Kept = { ...current, nonce: randomBytes(nonceBytes), tag: randomBytes(tagBytes) }

  return {
    async hash(password, io) {
      const nonce = randomBytes(nonceBytes)
      const parameters = { ...current, nonce, tagLength: tagBytes }
      return format({
        ...current,
        nonce,
        tag: await argon2id({ message: bytesOf(password), ...parameters }, io),
      })
    },
    async verify(password, stored, io) {
      const { memory, passes, parallelism, nonce, tag } = stored === undefined ? nobody : parse(stored)
      const isSane = password.length <= maxLength
      const message = bytesOf(isSane ? password : '')
      const found = await argon2id({ message, memory, passes, parallelism, nonce, tagLength: tag.length }, io)
      return timingSafeEqual(found, tag) && isSane && stored !== undefined
    },
  }
}

/** Why a new password is refused, for who chose it; undefined when it is taken. */
export function weaknessOf(password: string, user: string): string | undefined {
  const plain = password.normalize('NFKC').toLowerCase()
  const characters = [...plain]
  if (characters.length < minLength) return `a password has at least ${minLength} characters`
  if (password.length > maxLength) return `a password has at most ${maxLength} characters`
  if (plain.replaceAll(user, '').length < minLength / 2) return 'a password is more than the name of its user'
  if (new Set(characters).size < 5) return 'a password has at least 5 different characters'
  if (isGuessable(plain)) return 'this password is among the first that anybody would guess'
  return undefined
}

/** Rows of keys, the alphabet and the digits, forwards and backwards, and what lists of leaked passwords begin with. */
const runs = [
  'abcdefghijklmnopqrstuvwxyz',
  '01234567890123456789',
  'qwertyuiopasdfghjklzxcvbnm',
  '1q2w3e4r5t6y7u8i9o0p',
]
const common = [
  'password',
  'passw0rd',
  'letmein',
  'welcome',
  'iloveyou',
  'changeme',
  'administrator',
  'admin',
  'docker',
]

/** True for a password of which little is left without what everybody would try. */
function isGuessable(plain: string): boolean {
  if (runs.some(run => run.includes(plain) || [...run].toReversed().join('').includes(plain))) return true
  const rest = common.reduce((text, word) => text.replaceAll(word, ''), plain)
  return rest.length < plain.length && rest.replaceAll(/[\d!?.]/g, '').length < 4
}

const argon2Async = promisify(argon2)
const byLibuv: Argon2id = parameters => argon2Async('argon2id', parameters)

/** The same password typed on another system can be other bytes: NFKC makes them one. */
const bytesOf = (password: string) => Buffer.from(password.normalize('NFKC'))

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64').replaceAll('=', '')

function format({ memory, passes, parallelism, nonce, tag }: Kept): string {
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${base64(nonce)}$${base64(tag)}`
}

const phc =
  /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/

function parse(stored: string): Kept {
  const [, memory, passes, parallelism, nonce = '', tag = ''] = phc.exec(stored) ?? []
  if (tag === '') throw new Error('a stored password cannot be read: expected $argon2id$v=19$m=…,t=…,p=…$…$…')
  return {
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    nonce: Buffer.from(nonce, 'base64'),
    tag: Buffer.from(tag, 'base64'),
  }
}
