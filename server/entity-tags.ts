/** What If-Match and If-None-Match name (RFC 9110, 13.1): anything that is there, or one of these. */
export type EntityTags =
  | { readonly kind: 'any' }
  | { readonly kind: 'these'; readonly tags: readonly string[] }

/**
 * Undefined where there is no such header. Tags are compared weakly (RFC 9110, 8.8.3.2): ours are digests, which are
 * the same for the same bytes only.
 */
export function parseEntityTags(header: string | undefined): EntityTags | undefined {
  if (!header) return undefined
  if (header.trim() === '*') return { kind: 'any' }
  const tags = header.split(',').map(each => each.trim().replace(/^(?:W\/)?"(.*)"$/, '$1'))
  return { kind: 'these', tags }
}

/** Whether a client has this entity, as its If-None-Match says. */
export function namesEntity(header: string | undefined, tag: string): boolean {
  const named = parseEntityTags(header)
  return named !== undefined && (named.kind === 'any' || named.tags.includes(tag))
}
