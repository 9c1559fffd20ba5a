/** Kinds of values that settings have, for the schema to be made of. */
import { z } from 'zod'
import type { About } from './config-sources.ts'
import { parseWholeNumber } from './units.ts'

/** A setting is what is registered here, wherever in the schema it stands. */
export const about = z.registry<About>()

/** Text, or what YAML reads instead. */
const scalar = z.union([z.string(), z.number(), z.boolean()])
type Scalar = z.input<typeof scalar>
type Parse<T> = (text: string) => T | undefined

/** Text of which `parse` makes a value; it returns undefined to refuse. */
export function parsedBy<T>(parse: Parse<T>) {
  return scalar.transform((given, ctx): T => {
    const value = parse(String(given))
    if (value !== undefined) return value
    ctx.addIssue({ code: 'custom', input: given })
    return z.NEVER
  })
}

/** A list, or one text with commas between. */
export function listOf<T>(parse: Parse<T>, least = 1) {
  const oneOrMore = scalar.transform(splitAtCommas)
  const all = z.union([oneOrMore, z.array(oneOrMore).transform(lists => lists.flat())])
  return all.pipe(z.array(parsedBy(parse)).min(least))
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

export function parseBoolean(text: string): boolean | undefined {
  if (text === 'true') return true
  return text === 'false' ? false : undefined
}

/** The scheme and host of an address that has nothing else. */
export function parseOrigin(text: string): string | undefined {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol) || /[?#@]/.test(text)) return undefined
  return url.href === `${url.origin}/` ? url.origin : undefined
}

/** Typed as what parsedBy takes. */
function splitAtCommas(given: Scalar): Scalar[] {
  return String(given)
    .split(',')
    .map(part => part.trim())
}
