import { RegistryError } from './errors.ts'

/** Deeper than any manifest; shallow enough for every parser that will read it after us. */
const maxDepth = 64

const quote = 0x22
const backslash = 0x5c
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const colon = 0x3a

/**
 * Parses a JSON object that others will parse again, and must not understand otherwise: refuses what parsers disagree
 * about (a key of the outermost object written twice, also in another case, as Go's parser takes both) and what
 * makes them fail (deep nesting, text that is not UTF-8). Throws MANIFEST_INVALID.
 */
export function parseStrictObject(bytes: Buffer): Record<string, unknown> {
  const invalid = (message: string, cause?: unknown) =>
    new RegistryError('MANIFEST_INVALID', { message, cause })
  const keys = outermostKeys(bytes)
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch (cause) {
    throw invalid('manifest is not JSON', cause)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('manifest is not a JSON object')
  const seen = new Set<string>()
  for (const key of keys) {
    const folded = key.toLowerCase()
    if (seen.has(folded)) throw invalid(`manifest holds the key ${JSON.stringify(key)} twice`)
    seen.add(folded)
  }
  return value as Record<string, unknown>
}

/** The keys of the outermost object as they are written, found without recursion. Throws MANIFEST_INVALID past the depth. */
function outermostKeys(bytes: Buffer): string[] {
  const keys: string[] = []
  let depth = 0
  let text: { start: number; end: number } | undefined
  for (let at = 0; at < bytes.length; at++) {
    switch (bytes[at]) {
      case quote: {
        const start = at
        for (at++; at < bytes.length && bytes[at] !== quote; at++) if (bytes[at] === backslash) at++
        if (depth === 1) text = { start, end: at + 1 }
        break
      }
      case openBrace:
      case openBracket:
        if (++depth > maxDepth)
          throw new RegistryError('MANIFEST_INVALID', {
            message: `manifest is nested deeper than ${maxDepth} levels`,
          })
        break
      case closeBrace:
      case closeBracket:
        depth--
        break
      case colon:
        if (depth === 1 && text) keys.push(unescaped(bytes.toString('utf8', text.start, text.end)))
        text = undefined
        break
    }
  }
  return keys
}

function unescaped(literal: string): string {
  try {
    return String(JSON.parse(literal))
  } catch {
    return literal
  }
}
