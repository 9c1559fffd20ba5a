import { ociIndex } from '../oci/media-types.ts'
import type { RepositoryName } from '../oci/names.ts'
import { everyPage } from '../storage/pages.ts'
import { json, linkNext } from './answer.ts'
import type { Context, Services } from './context.ts'
import type { OperationOf } from './operations.ts'

export async function listTags(
  services: Services,
  ctx: Context,
  { name, limit, after }: OperationOf<'listTags'>,
) {
  const { items, more } = await services.registry.manifests.tags(name, {
    after,
    limit,
    signal: ctx.state.io.signal,
  })
  const link =
    more && items.length > 0
      ? linkNext(`${services.url()}/v2/${name}/tags/list`, { n: String(limit), last: items.at(-1) })
      : {}
  return json({ name, tags: items }, link)
}

/** Names that the asker may pull, in order, strictly after one of them. */
async function* visible(
  { registry, policy }: Services,
  ctx: Context,
  start?: string,
): AsyncGenerator<RepositoryName> {
  const { io, principal } = ctx.state
  const pages = everyPage(page => registry.repositories({ ...page, signal: io.signal }), start)
  for await (const names of pages)
    for (const name of names) if (policy.permits(principal, 'pull', name)) yield name
}

export async function catalog(services: Services, ctx: Context, { limit, after }: OperationOf<'catalog'>) {
  const repositories: RepositoryName[] = []
  let link = {}
  if (limit > 0)
    for await (const name of visible(services, ctx, after)) {
      if (repositories.length === limit) {
        link = linkNext(`${services.url()}/v2/_catalog`, { n: String(limit), last: repositories.at(-1) })
        break
      }
      repositories.push(name)
    }
  return json({ repositories }, link)
}

export async function listReferrers(
  services: Services,
  ctx: Context,
  operation: OperationOf<'listReferrers'>,
) {
  const { name, digest, artifactType, limit, after } = operation
  const page = { artifactType, limit, after, signal: ctx.state.io.signal }
  const { referrers, next } = await services.registry.manifests.referrers(name, digest, page)
  const link =
    next === undefined
      ? {}
      : linkNext(`${services.url()}/v2/${name}/referrers/${digest}`, {
          artifactType,
          n: String(limit),
          last: next,
        })
  const filtered = artifactType === undefined ? {} : { 'OCI-Filters-Applied': 'artifactType' }
  const index = { schemaVersion: 2, mediaType: ociIndex, manifests: referrers }
  return json(index, { ...link, ...filtered }, 200, ociIndex)
}

/** What `docker search HOST/term` asks: names that hold the term (Docker's registry API, version 1). */
export async function search(services: Services, ctx: Context, { term, limit, page }: OperationOf<'search'>) {
  const wanted = term.toLowerCase()
  const first = (Math.max(1, page) - 1) * limit
  const results = []
  let found = 0
  for await (const name of visible(services, ctx)) {
    if (!name.includes(wanted)) continue
    if (found >= first && results.length < limit)
      results.push({ name, description: '', star_count: 0, is_official: false, is_automated: false })
    found++
  }
  return json({
    query: term,
    num_results: found,
    num_pages: Math.ceil(found / Math.max(1, limit)),
    page,
    page_size: limit,
    results,
  })
}
