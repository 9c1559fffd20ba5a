/** What is drawn by lot. */
import { randomInt } from 'node:crypto'

export const base32 = 'abcdefghijklmnopqrstuvwxyz234567'
/** Without letters and digits that are mistaken for each other. */
const legible = 'abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789'

/** Characters of an alphabet, each drawn for itself. */
export const randomWord = (alphabet: string, length: number) =>
  Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('')

/** By what something is called that has no name. Nobody guesses it by accident; it is no secret. */
export const makeId = () => randomWord(base32, 8)

/** A password that nobody has to think of: 116 bits. */
export const makePassword = () => randomWord(legible, 20)

/** For `StoredUser.serial`. */
export const makeSerial = () => randomInt(2 ** 48 - 1)
