import type { AccessPolicy } from '../auth/access.ts'
import type { RepositoryName } from '../oci/names.ts'
import { everyPage } from '../storage/pages.ts'
import { mayList } from './authorize.ts'
import type { Context, Services } from './context.ts'

/**
 * Names that the asker may pull, in order, strictly after one of them. What is hidden is passed over before anything
 * is counted, and where nothing can be seen nothing is read: the work grows with what is shown, not with what is there.
 */
export function visibleRepositories(
  services: Services,
  ctx: Context,
  start?: string,
): AsyncGenerator<RepositoryName> {
  const { caller } = ctx.state
  // Who comes with a token that is not for the list sees what it is for.
  return repositoriesBy(mayList(caller) ? caller.holder : caller.policy, services, ctx, start)
}

/** The same for any policy that is asked about the caller. */
export async function* repositoriesBy(
  policy: AccessPolicy,
  { registry }: Services,
  ctx: Context,
  start?: string,
): AsyncGenerator<RepositoryName> {
  const { caller, io } = ctx.state
  const { principal } = caller
  for (const beginning of distinct(policy.reach(principal))) {
    if (start !== undefined && isBeyond(start, beginning)) continue
    const first = justBefore(beginning)
    const after = start !== undefined && (first === undefined || isBefore(first, start)) ? start : first
    const pages = everyPage(page => registry.repositories({ ...page, signal: io.signal }), after)
    for await (const names of pages) {
      for (const name of names)
        if (name.startsWith(beginning) && policy.permits(principal, 'pull', name)) yield name
      const last = names.at(-1)
      if (last === undefined || isBeyond(last, beginning)) break
    }
  }
}

/** Names sort component by component, as their keys do: a slash comes before everything else. */
const sortable = (name: string) => name.replaceAll('/', '!')
const isBefore = (a: string, b: string) => sortable(a) < sortable(b)
const isBeyond = (name: string, beginning: string) => !name.startsWith(beginning) && isBefore(beginning, name)

/** In order, without those that another one includes: so no name comes twice. */
function distinct(beginnings: readonly string[]): readonly string[] {
  const kept: string[] = []
  // What includes others stands right before them.
  for (const each of [...new Set(beginnings)].toSorted((a, b) => (isBefore(a, b) ? -1 : 1))) {
    const last = kept.at(-1)
    if (last === undefined || !each.startsWith(last)) kept.push(each)
  }
  return kept
}

/** Something that sorts before all names with this beginning, and after nearly all that come before them. */
function justBefore(beginning: string): string | undefined {
  const last = sortable(beginning).at(-1)
  if (last === undefined) return undefined
  return `${beginning.slice(0, -1)}${String.fromCharCode(last.charCodeAt(0) - 1)}~`
}
