import { RegistryError } from './errors.ts'

declare const brand: unique symbol
/** A string that a parser has vouched for; only that parser can make one. */
export type Branded<T extends string, Name extends string> = T & { readonly [brand]: Name }

export type Algorithm = 'sha256' | 'sha512'
export type Digest = Branded<`${Algorithm}:${string}`, 'Digest'>
export type RepositoryName = Branded<string, 'RepositoryName'>
export type Tag = Branded<string, 'Tag'>
/** What a manifest is asked for by. A tag holds no colon, a digest always does. */
export type Reference = Tag | Digest

const digestPattern = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/
const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const namePattern = new RegExp(`^${component}(?:/${component})*$`)
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/

/** Clients limit host and name together to 255 characters; 200 leaves room for any host. */
const maxNameLength = 200
const maxNameComponents = 32

/** Longest stretch of somebody else's text that an error message repeats. */
const quoted = (text: string) => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)

/** Throws DIGEST_INVALID. */
export function parseDigest(text: string): Digest {
  if (digestPattern.test(text)) return text as Digest
  throw new RegistryError('DIGEST_INVALID', {
    message: `invalid digest ${quoted(text)}: expected sha256: or sha512: and lower-case hex digits`,
  })
}

/** Throws NAME_INVALID. */
export function parseRepositoryName(text: string): RepositoryName {
  const fits =
    text.length <= maxNameLength && text.split('/', maxNameComponents + 1).length <= maxNameComponents
  if (fits && namePattern.test(text)) return text as RepositoryName
  throw new RegistryError('NAME_INVALID', {
    message:
      `invalid repository name ${quoted(text)}: expected lower-case words joined by . _ __ - or /, ` +
      `at most ${maxNameLength} characters and ${maxNameComponents} components`,
  })
}

/** Throws TAG_INVALID. */
export function parseTag(text: string): Tag {
  if (tagPattern.test(text)) return text as Tag
  throw new RegistryError('TAG_INVALID', {
    message: `invalid tag ${quoted(text)}: expected 1 to 128 of letters, digits, _ . -, not starting with . or -`,
  })
}

/** Throws DIGEST_INVALID or TAG_INVALID. */
export function parseReference(text: string): Reference {
  return text.includes(':') ? parseDigest(text) : parseTag(text)
}

export function isDigest(reference: Reference): reference is Digest {
  return reference.includes(':')
}

export function algorithmOf(digest: Digest): Algorithm {
  return digest.startsWith('sha256') ? 'sha256' : 'sha512'
}

/** The part after the colon. */
export function hexOf(digest: Digest): string {
  return digest.slice(7)
}

/** Makes a digest of what a hash function returned. */
export function digestOf(algorithm: Algorithm, hex: string): Digest {
  return `${algorithm}:${hex}` as Digest
}
