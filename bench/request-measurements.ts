import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Io } from '../oci/io.ts'
import { imageTag } from './content.ts'
import { pushImage } from './fill-api.ts'
import type { Line, Measurement, Sample } from './measure.ts'
import { type OneConnection, oneConnection } from './one-connection.ts'
import type { Plan } from './read-measurements.ts'
import { type Counts, startRequestCounter } from './request-counter.ts'
import { bytesText } from './sizes.ts'
import { storeOf } from './store-measurements.ts'

const repository = 'bench/requests'
const layerBytes = 100 * 1024
const tinyBytes = 4 * 1024
const pieceBytes = 1024 * 1024
const layerCount = 10
const manifestType = 'application/vnd.oci.image.manifest.v1+json'

interface Layer {
  readonly digest: string
  readonly bytes: number
  pieces(): Iterable<Buffer>
}

/** How many requests reach the store: each server once more, on a bucket of its own behind a counter. */
export function storeRequests({ sizes, content }: Plan): Measurement {
  const line = (title: string, goal?: Line['goal']): Line => ({
    title,
    unit: 'requests',
    ...(goal && { goal }),
  })
  const layer = bytesText(layerBytes)
  return {
    name: 's3-requests',
    rounds: sizes.rounds,
    applies: () => true,
    lines: [
      line(`HEAD, POST, PATCH, PUT of ${layer}`, { ratioAtMost: 0.25, valueAtMost: 5 }),
      line(`POST, PUT of ${layer}`, { ratioAtMost: 0.25, valueAtMost: 5 }),
      line(`POST, PUT of ${bytesText(tinyBytes)}`, { ratioAtMost: 0.25, valueAtMost: 2 }),
      line(`PUT manifest of ${layerCount} known layers`, { valueAtMost: 2 }),
      line(`GET manifest by tag, and a layer of ${layer}`),
      line('once more'),
      line(`POST, PATCH, PUT of ${bytesText(sizes.giantBytes)}`, { valueAtMost: 75 }),
    ],
    async take(server, _round, io) {
      await using counter = await startRequestCounter(storeOf(server).engine.endpoint)
      const store = { ...(await storeOf(server).engine.store()), endpoint: counter.endpoint }
      const folder = await mkdtemp(join(server.folder, 'requests-'))
      let launched = await server.launchAnother(folder, io, store)
      let client = oneConnection(launched.port)
      const restart = async () => {
        client.close()
        await launched.stop()
        launched = await server.launchAnother(folder, io, store)
        client = oneConnection(launched.port)
      }
      const counted = async (work: () => Promise<void>) => sampleOf(await counter.during(work, io))
      try {
        // What is written once for a repository is not what a push takes.
        await pushImage(launched.port, repository, content, imageTag, io)
        const layer = newLayer(layerBytes)
        const known = Array.from({ length: layerCount }, () => newLayer(layerBytes))
        const samples = [
          await counted(async () => {
            await client.ask(404, `/v2/${repository}/blobs/${layer.digest}`, { method: 'HEAD' }, io)
            await push(client, layer, 'chunked', io)
          }),
          await counted(() => push(client, newLayer(layerBytes), 'whole', io)),
          await counted(() => push(client, newLayer(tinyBytes), 'whole', io)),
        ]
        for (const each of known) await push(client, each, 'chunked', io)
        samples.push(await counted(() => putManifest(client, manifestOf(known), io)))
        await restart()
        samples.push(
          await counted(() => pull(client, known, io)),
          await counted(() => pull(client, known, io)),
        )
        const giant = newLayer(sizes.giantBytes)
        return [...samples, await counted(() => push(client, giant, 'chunked', io))]
      } finally {
        client.close()
        await launched.stop()
        await rm(folder, { recursive: true })
      }
    },
  }
}

function sampleOf(counts: Counts): Sample {
  const kinds = [...counts].toSorted(([, a], [, b]) => b - a)
  return {
    value: kinds.reduce((sum, [, count]) => sum + count, 0),
    note: kinds.map(([kind, count]) => `${count} ${kind}`).join(', '),
  }
}

/** Of which only the first piece is its own, so that a large one takes little memory. */
function newLayer(bytes: number): Layer {
  const [first, piece] = [randomBytes(Math.min(bytes, pieceBytes)), randomBytes(Math.min(bytes, pieceBytes))]
  function* pieces() {
    yield first
    for (let left = bytes - first.length; left > 0; left -= piece.length)
      yield piece.subarray(0, Math.min(left, piece.length))
  }
  const hash = createHash('sha256')
  for (const each of pieces()) hash.update(each)
  return { digest: `sha256:${hash.digest('hex')}`, bytes, pieces }
}

async function push(
  client: OneConnection,
  { digest, pieces }: Layer,
  way: 'chunked' | 'whole',
  io: Io,
): Promise<void> {
  const uploads = `/v2/${repository}/blobs/uploads/`
  const headers = { 'Content-Type': 'application/octet-stream' }
  const chunked = way === 'chunked'
  const begun = await client.ask(202, uploads, { method: 'POST' }, io)
  const location = chunked
    ? await client.ask(202, begun, { method: 'PATCH', headers, body: pieces() }, io)
    : begun
  const target = `${location}${location.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`
  const body = chunked ? '' : Buffer.concat([...pieces()])
  await client.ask(201, target, { method: 'PUT', headers, body }, io)
}

async function pull(client: OneConnection, [layer]: readonly Layer[], io: Io): Promise<void> {
  await client.ask(200, `/v2/${repository}/manifests/image`, { headers: { Accept: manifestType } }, io)
  await client.ask(200, `/v2/${repository}/blobs/${layer?.digest}`, {}, io)
}

/** The first layer serves as its configuration: nobody looks into it. */
function manifestOf(layers: readonly Layer[]): string {
  const descriptor = (type: string) => (layer: Layer | undefined) => ({
    mediaType: `application/vnd.oci.image.${type}`,
    digest: layer?.digest,
    size: layer?.bytes,
  })
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: manifestType,
    config: descriptor('config.v1+json')(layers[0]),
    layers: layers.map(descriptor('layer.v1.tar+gzip')),
  })
}

async function putManifest(client: OneConnection, body: string, io: Io): Promise<void> {
  const headers = { 'Content-Type': manifestType }
  await client.ask(201, `/v2/${repository}/manifests/image`, { method: 'PUT', body, headers }, io)
}
