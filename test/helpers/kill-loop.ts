/** Pushes by several clients at once, to a server that is killed again and again, and what is left of them. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Digest } from '../../oci/names.ts'
import { digestsOf, type Image, image, mediaTypes } from './images.ts'
import { isAlive, killHard, primaryOf, workersOf } from './processes.ts'
import { pullDigests, pushImage, type Repository, tagsOf } from './push.ts'
import { startServer, type TestServer } from './server.ts'
import { pause, until } from './until.ts'

export interface KillFigures {
  readonly kills: number
  readonly primaryKills: number
  readonly attempted: number
  readonly acknowledged: number
  /** Deletes of manifests that were acknowledged, with every tag that pointed to them. */
  readonly deleted: number
  readonly tags: number
  /** Distinct blobs and manifests of what was acknowledged whose bytes were read again and had their digest. */
  readonly verified: number
  /** What was not acknowledged and is there, whole. */
  readonly extra: number
  /** What broke a promise, one line each. */
  readonly lost: readonly string[]
}

/** A manifest in its repository, as its only client was told. */
interface Push {
  readonly image: Image
  /** `unsure`: what was asked for last was cut off. */
  state: 'there' | 'gone' | 'unsure'
  acknowledged: boolean
  /** What was cut off may still come to pass, so nothing more is asked of it. */
  settled: boolean
}

interface Client {
  readonly name: string
  readonly pushes: Push[]
  deletes: number
  /** What each tag may point to. */
  readonly tags: Map<string, Set<Digest | undefined>>
}

const clientCount = 4
/** In the link itself, a file, a file of several writes, and one that takes a while. */
const layerBytes = [300, 12_000, 60_000, 400_000, 3_000_000]
const tagCount = 5
const mostWaitMs = 500
// Every kill leaves uploads that nobody goes on with.
const environment = { SLIPWAY_WORKERS: '2', SLIPWAY_LIMITS_UPLOADS_PER_USER: '100000' }

const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(Math.random() * items.length)]

export async function killLoop(kills: number): Promise<KillFigures> {
  const data = await mkdtemp(join(tmpdir(), 'slipway-kill-'))
  const clients: readonly Client[] = Array.from({ length: clientCount }, (_, at) => ({
    name: `kill/client-${at}`,
    pushes: [],
    deletes: 0,
    tags: new Map(),
  }))
  try {
    let done = 0
    let primaryKills = 0
    while (done < kills) {
      const workerKills = Math.min(Math.floor(Math.random() * 4), kills - done - 1)
      await live(data, clients, workerKills)
      done += workerKills + 1
      primaryKills++
    }
    await using server = await startServer({ data })
    const left = await readdir(join(data, 'tmp'))
    const lost = left.map(name => `tmp/${name} was left behind`)
    const counts = { attempted: 0, acknowledged: 0, deleted: 0, tags: 0, verified: 0, extra: 0 }
    for (const client of clients) {
      const found = await verify({ address: server.address, name: client.name }, client)
      counts.attempted += client.pushes.length
      counts.acknowledged += client.pushes.filter(push => push.acknowledged).length
      counts.deleted += client.deletes
      counts.tags += client.tags.size
      counts.verified += found.verified
      counts.extra += found.extra
      lost.push(...found.lost)
    }
    return { kills: done, primaryKills, ...counts, lost }
  } finally {
    await rm(data, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** One run of the server: some of its workers are killed, and in the end itself. */
async function live(data: string, clients: readonly Client[], workerKills: number): Promise<void> {
  await using server = await startServer({ data, env: environment })
  let over = false
  const pushing = Promise.all(clients.map(client => pushUntil(() => over, client, server)))
  // A failure is found when all is over, which is later.
  pushing.catch(() => {})
  for (let count = 0; count < workerKills; count++) {
    await pause(Math.random() * mostWaitMs)
    // With its last worker a server on a free port gives the port up, and pushes would only be refused.
    await until('both workers run', () => workersOf(server).length === 2)
    killHard(pick(workersOf(server)) ?? primaryOf(server))
  }
  await pause(Math.random() * mostWaitMs)
  const workers = workersOf(server)
  over = true
  // With its parent gone a worker ends by itself, and may answer what it was doing until then.
  if (Math.random() < 0.5) killHard(primaryOf(server))
  else killHard(primaryOf(server), ...workers)
  await pushing
  await until('the workers of a killed parent are gone', () => !workers.some(isAlive))
}

async function pushUntil(isOver: () => boolean, client: Client, { address }: TestServer): Promise<void> {
  const repository = { address, name: client.name }
  while (!isOver()) {
    const known = pick(client.pushes.filter(({ state, settled }) => settled && state === 'there'))
    const dice = Math.random()
    try {
      if (known && dice < 0.15) await remove(repository, client, known)
      // A retag sends the manifest alone.
      else if (known && dice < 0.4) await push(repository, client, known, { ...known.image, blobs: [] })
      else {
        const deleted = pick(client.pushes.filter(({ state, settled }) => settled && state === 'gone'))
        const next = deleted && dice < 0.5 ? deleted : fresh(client)
        await push(repository, client, next, next.image)
      }
    } catch (error) {
      // Cut off, or refused by what was left of the server: nothing was promised.
      if (!isOver()) await pause(Math.random() * 20)
      if (!isOutage(error)) throw error
    }
  }
}

async function push(repository: Repository, { tags }: Client, push: Push, sent: Image): Promise<void> {
  const tag = `tag-${Math.floor(Math.random() * tagCount)}`
  const { digest } = push.image.descriptor
  tags.set(tag, new Set(tags.get(tag) ?? [undefined]).add(digest))
  push.settled = false
  // One that is there stays, whatever becomes of this.
  if (push.state === 'gone') push.state = 'unsure'
  await pushImage(repository, sent, tag)
  tags.set(tag, new Set([digest]))
  push.settled = true
  push.acknowledged = true
  push.state = 'there'
}

async function remove(repository: Repository, client: Client, push: Push): Promise<void> {
  const { digest } = push.image.descriptor
  const pointing = [...client.tags.values()].filter(targets => targets.has(digest))
  for (const targets of pointing) targets.add(undefined)
  push.settled = false
  push.state = 'unsure'
  const { status } = await manifest(repository, digest, 'DELETE')
  if (status !== 202) throw new Error(`DELETE ${digest} answered ${status}: `)
  for (const targets of pointing) targets.delete(digest)
  push.settled = true
  push.state = 'gone'
  client.deletes++
}

function fresh(client: Client): Push {
  const count = client.pushes.length
  const layers = [pick(layerBytes) ?? 0, pick(layerBytes) ?? 0]
  const own = image({ seed: `${client.name} ${count}`, layers })
  // What a neighbour has comes again, so that content is shared and linked twice; but each manifest has one story.
  const shared = image({ seed: `shared ${count % 7}`, layers })
  const isHere = client.pushes.some(each => each.image.descriptor.digest === shared.descriptor.digest)
  const chosen = Math.random() < 0.2 && !isHere ? shared : own
  const push: Push = { image: chosen, state: 'unsure', acknowledged: false, settled: false }
  client.pushes.push(push)
  return push
}

/** What a client may see of a server that dies; anything else is an answer that it should never get. */
function isOutage(error: unknown): boolean {
  return error instanceof TypeError || (error instanceof Error && / answered 503: /.test(error.message))
}

async function verify(repository: Repository, { pushes, tags }: Client) {
  const lost: string[] = []
  const verified = new Set<Digest>()
  let extra = 0
  for (const { image, state, acknowledged } of pushes) {
    const { digest } = image.descriptor
    const status = await statusOf(repository, digest)
    if (status === 404 && state !== 'there') continue
    if (state === 'gone') lost.push(`${digest} was deleted and answers ${status}`)
    try {
      const { all } = await pullDigests(repository, digest)
      if (all.length !== digestsOf(image).length) throw new Error(`only ${all.length} parts`)
      for (const each of all) verified.add(each)
      if (!acknowledged) extra++
    } catch (error) {
      lost.push(`${digest} (${acknowledged ? 'acknowledged' : 'not acknowledged'}): ${error}`)
    }
  }
  for (const [tag, targets] of tags) {
    const found = await resolve(repository, tag)
    if (!([...targets] as unknown[]).includes(found))
      lost.push(`tag ${tag} is ${found}, not ${[...targets].join(' or ')}`)
  }
  for (const tag of await tagsOf(repository)) {
    const status = await statusOf(repository, tag)
    if (status !== 200) lost.push(`tag ${tag} is listed and answers ${status}`)
  }
  return { lost, verified: verified.size, extra }
}

async function manifest(repository: Repository, reference: string, method: string): Promise<Response> {
  const url = new URL(`/v2/${repository.name}/manifests/${reference}`, repository.address)
  return fetch(url, { method, headers: { Accept: mediaTypes.oci.manifest } })
}

async function statusOf(repository: Repository, reference: string): Promise<number> {
  return (await manifest(repository, reference, 'HEAD')).status
}

async function resolve(repository: Repository, tag: string): Promise<string | undefined> {
  const answer = await manifest(repository, tag, 'HEAD')
  return answer.headers.get('Docker-Content-Digest') ?? undefined
}

/** The figures in one line, for the end of a run. */
export function said({ lost, ...figures }: KillFigures): string {
  return (
    `${figures.kills} kills (${figures.primaryKills} of the parent): ${figures.attempted} manifests attempted, ` +
    `${figures.acknowledged} acknowledged, ${figures.deleted} deleted, ${figures.tags} tags, ${figures.verified} blobs and manifests verified, ` +
    `${figures.extra} whole without an answer, ${lost.length} lost`
  )
}
