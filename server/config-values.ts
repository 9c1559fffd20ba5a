/** Kinds of values that settings have, for the schema to be made of. */
import { z } from 'zod'
import { parseWholeNumber } from './units.ts'

type Parse<T> = (text: string) => T | undefined

/** Text, or a number as YAML reads it, of which `parse` makes a value; it returns undefined to refuse. */
export function parsedBy<T>(parse: Parse<T>) {
  return z.union([z.string(), z.number()]).transform((given, ctx): T => {
    const value = parse(String(given))
    if (value !== undefined) return value
    ctx.addIssue({ code: 'custom', input: given })
    return z.NEVER
  })
}

/** One or more, as a list or as one text with commas between. */
export function listOf<T>(parse: Parse<T>) {
  const oneOrMore = z.union([z.string(), z.number()]).transform(splitAtCommas)
  const all = z.union([oneOrMore, z.array(oneOrMore).transform(lists => lists.flat())])
  return all.pipe(z.array(parsedBy(parse)).min(1))
}

export function inRange(parse: Parse<number>, least: number, most: number): Parse<number> {
  return text => {
    const value = parse(text)
    return value !== undefined && value >= least && value <= most ? value : undefined
  }
}

export function wholeNumber(least: number, most: number): Parse<number> {
  return inRange(parseWholeNumber, least, most)
}

/** The scheme and host of an address that has nothing else. */
export function parseOrigin(text: string): string | undefined {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol) || /[?#@]/.test(text)) return undefined
  return url.href === `${url.origin}/` ? url.origin : undefined
}

/** Typed as what parsedBy takes. */
function splitAtCommas(given: string | number): (string | number)[] {
  return String(given)
    .split(',')
    .map(part => part.trim())
}
