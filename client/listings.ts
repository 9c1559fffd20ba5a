/** Lists that a registry gives page by page (distribution specification, Listing Tags). */

import type { Io } from '../oci/io.ts'
import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from '../oci/names.ts'
import { ClientError } from './client-error.ts'
import { addressIn } from './origin.ts'
import { readAll } from './reading.ts'
import { catalogScope, repositoryScope, type Scope } from './scopes.ts'
import type { Session } from './session.ts'

/** Enough for ten million names; a registry that goes on is not going to end. */
const maxPages = 10_000
const maxPageBytes = 16 * 2 ** 20

/** Names of repositories, a page at a time. Throws ClientError. */
export function repositoryPages(session: Session, io: Io): AsyncGenerator<readonly RepositoryName[]> {
  const list = { to: '/v2/_catalog', scopes: [catalogScope], what: `repositories of ${session.url.host}` }
  return pages(session, list, ({ repositories }) => repositories, parseRepositoryName, io)
}

/** Tags, a page at a time. Throws ClientError. */
export function tagPages(session: Session, name: RepositoryName, io: Io): AsyncGenerator<readonly Tag[]> {
  const list = {
    to: `/v2/${name}/tags/list`,
    scopes: [repositoryScope(name, 'pull')],
    what: `tags of ${session.url.host}/${name}`,
  }
  return pages(session, list, ({ tags }) => tags, parseTag, io)
}

interface List {
  readonly to: string
  readonly scopes: readonly Scope[]
  readonly what: string
}

async function* pages<Name>(
  session: Session,
  list: List,
  field: (page: Readonly<Record<string, unknown>>) => unknown,
  parse: (text: string) => Name,
  io: Io,
): AsyncGenerator<readonly Name[]> {
  const visited = new Set<string>()
  for (let to: URL | undefined = new URL(list.to, session.url); to; ) {
    if (visited.has(to.href) || visited.size === maxPages)
      throw new ClientError(`${list.what}: the pages lead in a circle or do not end: gave up`)
    visited.add(to.href)
    const answer = await session.ask({ ...list, method: 'GET', to, expected: [200] }, io)
    const names = field(objectIn(await readAll(answer, maxPageBytes), list.what)) ?? []
    yield parseAll(names, parse, list.what)
    to = nextPage(String(answer.headers.link ?? ''), to)
  }
}

/** The page that follows (RFC 8288), if it is the same registry's. */
function nextPage(link: string, page: URL): URL | undefined {
  const [, target] = /<([^<>]*)>\s*;[^<]*\brel\s*=\s*"?next\b/i.exec(link) ?? []
  if (target === undefined) return undefined
  const next = addressIn(page, target)
  if (next.origin !== page.origin)
    throw new ClientError(`${page.host} continues its list at ${next.host}: refused`)
  return next
}

function objectIn(bytes: Buffer, what: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(bytes.toString())
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {}
  throw new ClientError(`${what}: the answer is no JSON object`)
}

function parseAll<Name>(names: unknown, parse: (text: string) => Name, what: string): readonly Name[] {
  if (!Array.isArray(names)) throw new ClientError(`${what}: the answer is no list`)
  try {
    return names.map(name => parse(String(name)))
  } catch (cause) {
    throw new ClientError(`${what}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}
