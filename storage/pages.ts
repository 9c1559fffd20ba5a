import type { Io } from '../oci/io.ts'
import type { ObjectStore } from './object-store.ts'
import type { Listing } from './registry.ts'

/** How many entries of a list that is read to its end are asked for at once. */
const pageLength = 1000

/** All pages of a list, each strictly after the last entry of the one before; the first after `start`. */
export async function* everyPage<T extends string>(
  read: (page: { readonly after: string | undefined; readonly limit: number }) => Promise<Listing<T>>,
  start?: string,
): AsyncGenerator<readonly T[]> {
  for (let after = start, more = true; more; ) {
    const page = await read({ after, limit: pageLength })
    yield page.items
    more = page.more
    after = page.items.at(-1)
  }
}

/** All keys under a prefix, page by page. */
export function everyKey(
  store: ObjectStore,
  prefix: string,
  { signal }: Io,
): AsyncGenerator<readonly string[]> {
  return everyPage(async ({ after, limit }) => {
    const { keys, more } = await store.list(prefix, { signal, limit, ...(after && { after }) })
    return { items: keys, more }
  })
}
