/** Clients of several servers on one bucket, one of which is killed again and again; and what is left in the end. */
import type { Digest } from '../../oci/names.ts'
import { content, type TestBlob } from './blob.ts'
import { recordHistory } from './history.ts'
import { digest, mediaTypes } from './images.ts'
import type { Value } from './linearizable.ts'
import { type NodeLoopFigures, type NodeLoopOptions, residentOf } from './node-figures.ts'
import { type Nodes, startNodes } from './nodes.ts'
import { blobUrl, type PatientClient, patientClient, type UploadWay } from './patient-client.ts'
import { residentBytes } from './processes.ts'
import { type Place, type RecordedClient, type RecordedManifest, recordedClient } from './recorded-client.ts'
import type { S3Engine } from './s3-engine.ts'
import { pause } from './until.ts'

/** Of a layer, in bytes: in the link, in an object, and of a few parts; as often as they come. */
const layerSizes = [
  ...new Array<Sizes>(18).fill([200, 600]),
  ...new Array<Sizes>(18).fill([10_000, 16_384]),
  ...new Array<Sizes>(17).fill([16_385, 100_000]),
  ...new Array<Sizes>(11).fill([300_000, 800_000]),
  ...new Array<Sizes>(6).fill([2_000_000, 4_000_000]),
  ...new Array<Sizes>(1).fill([20_000_000, 40_000_000]),
]
type Sizes = readonly [least: number, most: number]

const ways: readonly UploadWay[] = ['monolithic', 'whole', 'streamed', 'streamed', 'chunks']
/** Repositories that are used at once, and how long: histories are to be short. */
const placeCount = 4
const placeMs = 40_000
const tagCount = 24
/** Tags that are used by two of five. */
const hotTagCount = 3
/** Manifests that are used by two of five. */
const hotManifestCount = 3
const sampleMs = 1000
/** How many places are read again at once. */
const verifiers = 8

const below = (bound: number) => Math.floor(Math.random() * bound)
const pick = <T>(items: readonly T[]): T | undefined => items[below(items.length)]
const tagAt = (number: number) => `tag-${number}`
const someTag = () => tagAt(Math.random() < 0.4 ? below(hotTagCount) : below(tagCount))

interface Work {
  readonly client: PatientClient
  readonly recorded: RecordedClient
  readonly count: (what: string) => void
  readonly accuse: (what: string) => void
}

export async function nodeLoop(engine: S3Engine, options: NodeLoopOptions): Promise<NodeLoopFigures> {
  const env = { SLIPWAY_LIMITS_UPLOADS_PER_USER: '100000' }
  await using nodes = await startNodes(engine, { count: options.nodes, env })
  const done = new Map<string, number>()
  const lost: string[] = []
  const client = patientClient()
  const history = recordHistory()
  const parts = {
    client,
    history,
    count: (what: string) => void done.set(what, (done.get(what) ?? 0) + 1),
    accuse: (what: string) => void lost.push(what),
  }
  const work: Work = { ...parts, recorded: recordedClient(parts) }

  const { places, kills, samples } = await live(nodes, options, work)
  const verifiedBytes = await verify(places, work)
  for (const place of places) lost.push(...work.recorded.judge(place))
  const sum = (sizeOf: (place: Place) => number) => places.reduce((all, place) => all + sizeOf(place), 0)
  return {
    engine: engine.name,
    options,
    kills,
    done,
    client: client.figures,
    manifests: sum(({ manifests }) => manifests.length),
    blobs: sum(({ blobs }) => blobs.size),
    verifiedBytes,
    registers: history.registers().length,
    operations: history.registers().reduce((all, name) => all + history.of(name).length, 0),
    resident: samples.map(residentOf),
    lost: [...lost, ...client.figures.wrong],
  }
}

async function live(nodes: Nodes, { clients, forMs, killEveryMs }: NodeLoopOptions, work: Work) {
  const { address, servers } = nodes
  const startMs = performance.now()
  const elapsedMs = () => performance.now() - startMs
  const samples = servers.map((): number[] => [])
  const places: Place[] = []
  const turn = () => {
    for (let each = 0; each < placeCount; each++)
      places.push({
        address,
        name: `soak/at-${places.length}`,
        manifests: [],
        blobs: new Map(),
        deletes: [],
      })
  }
  const sample = () => {
    for (const [node, server] of servers.entries()) {
      const bytes = residentBytes(server)
      if (bytes > 0) samples[node]?.push(bytes)
    }
  }
  turn()
  const timers = [setInterval(turn, placeMs), setInterval(sample, sampleMs)]
  let kills = 0
  let over = false

  async function workOn(): Promise<void> {
    while (!over) {
      const place = pick(places.slice(-placeCount))
      if (place) await doSomething(place, work).catch((error: unknown) => work.accuse(String(error)))
    }
  }

  /** The first is killed only in the beginning: of the others no process lives long enough to be seen growing. */
  const victim = () =>
    servers.length < 3 || elapsedMs() < forMs / 4
      ? kills % servers.length
      : 1 + (kills % (servers.length - 1))

  try {
    const working = Promise.all(Array.from({ length: clients }, workOn))
    for (let at = killEveryMs; at < forMs; at += killEveryMs) {
      await pause(Math.max(0, at - elapsedMs()))
      await nodes.restart(victim())
      kills++
    }
    await pause(Math.max(0, forMs - elapsedMs()))
    over = true
    await working
  } finally {
    over = true
    for (const timer of timers) clearInterval(timer)
  }
  return { places, kills, samples }
}

async function doSomething(place: Place, work: Work): Promise<void> {
  const { recorded } = work
  const known = someManifest(place)
  const dice = Math.random()
  if (!known || dice < 0.25) return pushImage(place, work)
  if (dice < 0.55) return pull(place, work)
  if (dice < 0.7) return recorded.push(place, known, someTag())
  if (dice < 0.85) return pushOnCondition(place, known, work)
  if (dice < 0.93) return recorded.deleteTag(place, someTag())
  return recorded.deleteManifest(place, known)
}

/** Often one of the last, which others push, tag and delete at the same time. */
function someManifest({ manifests }: Place): RecordedManifest | undefined {
  return pick(Math.random() < 0.4 ? manifests.slice(-hotManifestCount) : manifests)
}

function someLayer(place: Place): TestBlob {
  if (Math.random() < 0.1) return content(`shared ${below(20)}`, 50_000)
  const [least, most] = pick(layerSizes) ?? [0, 1]
  return content(`${place.name} ${Math.random()}`, least + below(most - least))
}

async function pushImage(place: Place, { client, recorded, count }: Work): Promise<void> {
  const config = Buffer.from(JSON.stringify({ at: place.name, dice: Math.random() }))
  const layers = Array.from({ length: 1 + below(3) }, () => someLayer(place))
  for (const blob of [{ bytes: config, digest: digest(config) }, ...layers]) {
    const known = await client.ask(blobUrl(place, blob.digest), { method: 'HEAD' })
    if (known.status !== 200) await client.push(place, blob, pick(ways) ?? 'whole')
    place.blobs.set(blob.digest, blob.bytes.length)
    count(known.status === 200 ? 'known blob' : 'blob')
  }
  const types = mediaTypes.oci
  const described = (mediaType: string, { bytes, digest }: TestBlob) => ({
    mediaType,
    digest,
    size: bytes.length,
  })
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: types.manifest,
      config: described(types.config, { bytes: config, digest: digest(config) }),
      layers: layers.map(each => described(types.layer, each)),
    }),
  )
  const manifest = { digest: digest(bytes), bytes }
  place.manifests.push(manifest)
  await recorded.push(place, manifest, someTag())
}

async function pull(place: Place, { client, recorded, count, accuse }: Work): Promise<void> {
  const seen = await recorded.read(place, someTag(), 'GET')
  if (seen?.found === undefined) return
  const { config, layers } = JSON.parse(seen.body.toString())
  for (const { digest: of } of [config, ...layers] as { digest: Digest }[]) {
    const found = await client.pull(place, of)
    if (found !== of) accuse(`blob ${of} of ${place.name} is ${found}`)
  }
  count('pull')
}

async function pushOnCondition(place: Place, manifest: RecordedManifest, { recorded }: Work): Promise<void> {
  const tag = someTag()
  const seen = await recorded.read(place, tag, 'HEAD')
  if (!seen) return
  const { found } = seen
  if (found === undefined || Math.random() < 0.2) {
    const headers = { 'If-None-Match': '*' }
    return recorded.push(place, manifest, tag, { headers, onlyIf: (now: Value) => now === undefined })
  }
  const headers = { 'If-Match': `"${found}"` }
  return recorded.push(place, manifest, tag, { headers, onlyIf: (now: Value) => now === found })
}

/** Reads all that was acknowledged, and every manifest and tag once more; returns how many bytes blobs had. */
async function verify(places: readonly Place[], work: Work): Promise<number> {
  const left = [...places]
  const verifyNext = async () => {
    for (let place = left.pop(); place; place = left.pop()) await verifyPlace(place, work)
  }
  await Promise.all(Array.from({ length: verifiers }, verifyNext))
  return places.flatMap(({ blobs }) => [...blobs.values()]).reduce((sum, size) => sum + size, 0)
}

async function verifyPlace(place: Place, { client, recorded, accuse }: Work): Promise<void> {
  for (const manifest of place.manifests) await recorded.look(place, manifest)
  for (const [of, size] of place.blobs) {
    const found = await client.pull(place, of)
    if (found !== of) accuse(`blob ${of} (${size} bytes) of ${place.name} is ${found}`)
  }
  for (let at = 0; at < tagCount; at++) await recorded.read(place, tagAt(at), 'GET')
  const listed = await client.ask(new URL(`/v2/${place.name}/tags/list`, place.address))
  const { tags = [] } = listed.status === 200 ? JSON.parse(listed.body.toString()) : {}
  for (const tag of tags as string[]) {
    const seen = await recorded.read(place, tag, 'HEAD')
    if (seen?.found === undefined) accuse(`tag ${place.name}:${tag} is listed and leads nowhere`)
  }
}
