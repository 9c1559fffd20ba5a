/** The order in which a push reaches the disk (docs/architecture.md, Durability and crashes). */
import { dirname } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { openFolder } from '../../storage/open.ts'
import { type DiskEvent, listenToDisk, unsafe } from '../helpers/disk-story.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { artifact, type Image, image } from '../helpers/images.ts'
import type { Repository } from '../helpers/push.ts'
import { startRegistry } from '../helpers/registry.ts'
import { finish, startUpload } from '../helpers/upload.ts'

const subject = image({ seed: 'subject', layers: [10] })
/** A config that lies in its link, and a file that is content. */
const first = artifact(subject, 'application/test', 'x'.repeat(20_000))
const second = artifact(subject, 'application/test', 'y'.repeat(20_000))

type Durability = 'full' | 'relaxed'

/** Pushes two images to one tag, and returns what the disk was asked for meanwhile. */
async function pushes(durability: Durability): Promise<readonly DiskEvent[]> {
  const root = await temporaryFolder()
  const story = listenToDisk(root)
  const { store, close } = await openFolder(root, 'server', { durability })
  onTestFinished(close)
  await using registry = await startRegistry({ store })
  const repository: Repository = { address: registry.address, name: 'disk' }
  story.begin()
  for (const pushed of [first, second]) await push(repository, pushed, story.acknowledge)
  return [...story.events]
}

async function push(repository: Repository, pushed: Image, acknowledge: () => void): Promise<void> {
  const acknowledged = (answer: Response) => {
    expect(answer.status).toBe(201)
    acknowledge()
  }
  for (const { bytes, descriptor } of pushed.blobs)
    acknowledged(await finish(await startUpload(repository), descriptor.digest, bytes))
  acknowledged(
    await fetch(new URL(`/v2/${repository.name}/manifests/latest`, repository.address), {
      method: 'PUT',
      headers: { 'Content-Type': pushed.descriptor.mediaType },
      body: new Uint8Array(pushed.bytes),
    }),
  )
}

/** What lies at a path, in the words of storage/layout.ts. */
function partOf(path: string): string {
  const [word = ''] = path.split('/')
  if (word === 'b') return path.includes('.p.') ? 'placement' : 'link'
  const parts: Readonly<Record<string, string>> = {
    d: 'content',
    m: 'manifest',
    ref: 'referrer',
    t: 'tag',
    repos: 'repository',
  }
  return parts[word] ?? path
}

/** What got its name, in order, each only after the one before was acknowledged by the disk. */
function parts(events: readonly DiskEvent[]): readonly string[] {
  const isSafeAt = (path: string, after: number, before: number) =>
    events
      .slice(after, before)
      .some(each => each.kind === 'synced' && each.path === dirname(path) && each.begun > after)
  let previous: { readonly path: string; readonly at: number } | undefined
  return events.flatMap((event, at) => {
    if (event.kind !== 'named') return []
    const isInTime = !previous || isSafeAt(previous.path, previous.at, event.begun)
    previous = { path: event.path, at }
    return [`${isInTime ? '' : 'too early: '}${partOf(event.path)}`]
  })
}

it('acknowledges nothing that a power cut could take', async () => {
  const events = await pushes('full')
  expect(events.filter(({ kind }) => kind === 'acknowledged')).toHaveLength(6)
  expect(unsafe(events)).toEqual([])
})

it('writes what is relied on before what relies on it', async () => {
  const blobs = ['link', 'content', 'placement', 'link']
  const manifest = ['manifest', 'referrer', 'tag']
  expect(parts(await pushes('full'))).toEqual([
    // What seals upload addresses.
    'secret/uploads',
    'repository',
    ...blobs,
    ...manifest,
    // The config has its link.
    ...blobs,
    ...manifest,
  ])
})

it('syncs content only where durability is relaxed', async () => {
  const events = await pushes('relaxed')
  const synced = events.filter(event => event.kind === 'synced').map(({ path }) => path)
  const isOfContent = (path: string) => path === '' || /^[du](?:\/|$)/.test(path)
  expect(synced.filter(path => !isOfContent(path))).toEqual([])
  expect(unsafe(events.filter(event => !('path' in event) || isOfContent(event.path)))).toEqual([])
  expect(events.filter(event => event.kind === 'named').map(({ path }) => partOf(path))).toContain('content')
})
