/**
 * Who may do what. A permission is asked for by name before anything is looked up, so that what is forbidden and what
 * is not there look the same.
 */
import type { RepositoryName } from '../oci/names.ts'

/** Each level includes the ones before it. */
export type Level = 'pull' | 'push' | 'delete'

export type Principal = { readonly kind: 'anonymous' }

/** Says what somebody may do: a pure question, asked again for every request. */
export interface AccessPolicy {
  permits(principal: Principal, level: Level, name: RepositoryName): boolean
}

/** A word for each principal, by which uploads are counted and manifests remember who pushed them. */
export const wordOf = (principal: Principal): string => principal.kind

/** For a registry that only its own machine can reach: everyone may do anything. */
export const openToAll: AccessPolicy = { permits: () => true }
