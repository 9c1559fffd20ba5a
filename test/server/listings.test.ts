/** Lists in pages, read as clients read them: by following Link until there is none. */
import { expect, it } from 'vitest'
import { artifact, image } from '../helpers/images.ts'
import { pushImage, type Repository } from '../helpers/push.ts'
import { startRegistry, type TestRegistry } from '../helpers/registry.ts'

const subject = image({ seed: 'listed', layers: [10] })

/** Every page of a list, from the one that is asked for to the one that leads nowhere. */
async function pagesFrom(registry: TestRegistry, path: string): Promise<readonly Response[]> {
  const pages: Response[] = []
  for (let url: URL | undefined = new URL(path, registry.address); url; ) {
    const page: Response = await fetch(url)
    expect(page.status).toBe(200)
    pages.push(page)
    const target: string | undefined = /^<([^>]+)>; rel="next"$/.exec(page.headers.get('Link') ?? '')?.[1]
    expect(page.headers.has('Link')).toBe(target !== undefined)
    url = target === undefined ? undefined : new URL(target, url)
    if (pages.length > 100) throw new Error('the list has no end')
  }
  return pages
}

async function bodies<T>(pages: readonly Response[]): Promise<readonly T[]> {
  return Promise.all(pages.map(page => page.json() as Promise<T>))
}

/** How many lists of `n` there are in `count`; the specification lets the last of them be followed by no other. */
const inPagesOf = (n: number, count: number) =>
  Array.from({ length: Math.ceil(count / n) }, (_, at) => Math.min(n, count - at * n))

// By bytes: capitals come before small letters, digits before both.
const tags = ['1.0', '1.1', 'Latest', 'a', 'a-b', 'a.b', 'latest']

it.for([1, 2, 3, 6, 7, 8])('gives all tags in pages of %i', async n => {
  await using registry = await startRegistry()
  const repository: Repository = { address: registry.address, name: 'team/app' }
  for (const tag of tags.toReversed()) await pushImage(repository, subject, tag)
  const pages = await bodies<{ name: string; tags: string[] }>(
    await pagesFrom(registry, `/v2/team/app/tags/list?n=${n}`),
  )
  expect(pages.map(page => page.tags.length)).toEqual(inPagesOf(n, tags.length))
  expect(pages.flatMap(page => page.tags)).toEqual(tags)
  expect(new Set(pages.map(page => page.name))).toEqual(new Set(['team/app']))
})

it.for([
  ['a tag', 'Latest', ['a', 'a-b', 'a.b', 'latest']],
  ['what would stand between two', 'a-c', ['a.b', 'latest']],
  ['the last', 'latest', []],
] as const)('gives the tags after %s', async ([, last, after]) => {
  await using registry = await startRegistry()
  for (const tag of tags) await pushImage({ address: registry.address, name: 'team/app' }, subject, tag)
  const pages = await bodies<{ tags: string[] }>(
    await pagesFrom(registry, `/v2/team/app/tags/list?n=3&last=${last}`),
  )
  expect(pages.flatMap(page => page.tags)).toEqual(after)
})

it('gives no tags, and no way to more, to who wants none', async () => {
  await using registry = await startRegistry()
  await pushImage({ address: registry.address, name: 'team/app' }, subject, 'a')
  for (const [path, field] of [
    ['/v2/team/app/tags/list?n=0', 'tags'],
    ['/v2/_catalog?n=0', 'repositories'],
  ] as const) {
    const pages = await bodies<Record<string, string[]>>(await pagesFrom(registry, path))
    expect(pages.map(page => page[field])).toEqual([[]])
  }
})

const names = ['a', 'a/b', 'a/b/c', 'a-b', 'b', 'c/a', 'c/b']

it.for([1, 2, 3, 6, 7, 8])('gives all repositories in pages of %i', async n => {
  await using registry = await startRegistry()
  for (const name of names.toReversed()) await pushImage({ address: registry.address, name }, subject)
  const pages = await bodies<{ repositories: string[] }>(await pagesFrom(registry, `/v2/_catalog?n=${n}`))
  expect(pages.map(page => page.repositories.length)).toEqual(inPagesOf(n, names.length))
  expect(pages.flatMap(page => page.repositories)).toEqual(names)
})

it('gives the repositories after one', async () => {
  await using registry = await startRegistry()
  for (const name of names) await pushImage({ address: registry.address, name }, subject)
  const pages = await bodies<{ repositories: string[] }>(
    await pagesFrom(registry, `/v2/_catalog?n=2&last=${encodeURIComponent('a/b')}`),
  )
  expect(pages.flatMap(page => page.repositories)).toEqual(['a/b/c', 'a-b', 'b', 'c/a', 'c/b'])
})

const referrers = Array.from({ length: 7 }, (_, at) =>
  artifact(subject, at % 2 === 0 ? 'application/even' : 'application/odd', `referrer ${at}`),
)
const isEven = (at: number) => at % 2 === 0
const sorted = (wanted: (at: number) => boolean) =>
  referrers
    .filter((_, at) => wanted(at))
    .map(({ descriptor }) => descriptor.digest)
    .sort()

it.for([
  [1, undefined],
  [3, undefined],
  [7, undefined],
  [1, 'application/even'],
  [3, 'application/even'],
  [4, 'application/even'],
  [2, 'application/none'],
] as const)('gives all referrers in pages of %i, of type %s', async ([n, artifactType]) => {
  await using registry = await startRegistry()
  const repository: Repository = { address: registry.address, name: 'team/app' }
  for (const referrer of referrers) await pushImage(repository, referrer)
  const query = new URLSearchParams({ n: String(n), ...(artifactType && { artifactType }) })
  const pages = await pagesFrom(registry, `/v2/team/app/referrers/${subject.descriptor.digest}?${query}`)
  for (const page of pages) {
    expect(page.headers.get('Content-Type')).toBe('application/vnd.oci.image.index.v1+json')
    expect(page.headers.get('OCI-Filters-Applied')).toBe(artifactType === undefined ? null : 'artifactType')
  }
  const found = (await bodies<{ manifests: { digest: string; artifactType: string }[] }>(pages)).map(
    page => page.manifests,
  )
  for (const manifests of found) expect(manifests.length).toBeLessThanOrEqual(n)
  const wanted =
    artifactType === undefined
      ? sorted(() => true)
      : artifactType === 'application/even'
        ? sorted(isEven)
        : sorted(() => false)
  expect(found.flat().map(({ digest }) => digest)).toEqual(wanted)
})

it('gives the referrers after one', async () => {
  await using registry = await startRegistry()
  for (const referrer of referrers) await pushImage({ address: registry.address, name: 'team/app' }, referrer)
  const path = `/v2/team/app/referrers/${subject.descriptor.digest}`
  const [first] = await pagesFrom(registry, `${path}?n=4`)
  const link = /^<([^>]+)>/.exec(first?.headers.get('Link') ?? '')?.[1] ?? ''
  expect(new URL(link, registry.address).searchParams.get('n')).toBe('4')
  const rest = await bodies<{ manifests: { digest: string }[] }>(await pagesFrom(registry, link))
  expect(rest.flatMap(({ manifests }) => manifests.map(({ digest }) => digest))).toEqual(
    sorted(() => true).slice(4),
  )
})
