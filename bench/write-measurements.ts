import type { PushJob } from './client-push.ts'
import { imageRepository, smallBytes } from './content.ts'
import { pushImage, tagsJob } from './fill-api.ts'
import type { Server } from './fleet.ts'
import type { Measurement } from './measure.ts'
import type { Plan } from './read-measurements.ts'
import { runClient } from './run-client.ts'
import { bytesText, countText, type Sizes } from './sizes.ts'
import { settle, timeBytes, timeRequests } from './timing.ts'

const takesPushes = (server: Server) => server.kind.takesPushes
const pushedTagsRepository = 'bench/pushed-tags'

/** A push of large blobs as docker makes it: POST, PATCH in chunks, PUT. */
export function largePushJob(server: Server, sizes: Sizes, connections: 1 | 4 | 16): PushJob {
  const until = { count: sizes.pushes[connections] }
  const load = { port: server.port(), connections, bytes: sizes.blobBytes, until }
  return { kind: 'push', repository: imageRepository, way: 'chunked', ...load }
}

export function pushLarge({ sizes }: Plan): Measurement {
  const counts = [1, 4] as const
  return {
    name: 'push',
    rounds: sizes.rounds,
    applies: takesPushes,
    lines: counts.map(count => ({
      title: `push blobs of ${bytesText(sizes.blobBytes)}, ${count} at a time`,
      unit: 'MB/s',
      cpuUnit: 's/GB',
      ...(count === 4 && { goal: { ratioAtLeast: 1, cpuRatioAtMost: 1.25 } }),
    })),
    async prepare(server, io) {
      await runClient(largePushJob(server, sizes, 1), io)
    },
    async take(server, _round, io) {
      const samples = []
      for (const count of counts) {
        await settle(server, io)
        const job = { ...largePushJob(server, sizes, count), ballastFolder: server.folder }
        samples.push(await timeBytes(server, job, io))
      }
      return samples
    },
  }
}

export function pushSmall({ sizes }: Plan): Measurement {
  return {
    name: 'push-small',
    rounds: sizes.rounds,
    applies: takesPushes,
    lines: [
      {
        title: `push blobs of ${bytesText(smallBytes)}, 16 at a time`,
        unit: 'pushes/s',
        cpuUnit: 's/10k',
        goal: { ratioAtLeast: 10 },
      },
    ],
    async take(server, _round, io) {
      await settle(server, io)
      const until = { seconds: sizes.smallPushSeconds }
      const load = { port: server.port(), connections: 16, bytes: smallBytes, until }
      const job = { kind: 'push', repository: imageRepository, way: 'whole', ...load } as const
      return [await timeRequests(server, job, io)]
    },
  }
}

/** Once: a second round would only overwrite. The other servers get fewer, some need minutes for all. */
export function pushTags({ sizes, content }: Plan): Measurement {
  const countFor = (server: Server) =>
    server.kind.id === 'slipway' ? sizes.pushedTags : sizes.pushedTagsOfPeers
  return {
    name: 'push-tags',
    rounds: 1,
    applies: takesPushes,
    lines: [
      { title: 'push tags, 16 at a time', unit: 'tags/s', cpuUnit: 's/10k' },
      { title: 'the last tenth against the first, in time', unit: 'x' },
    ],
    prepare: (server, io) => pushImage(server.port(), pushedTagsRepository, content, undefined, io),
    async take(server, _round, io) {
      await settle(server, io)
      const count = countFor(server)
      const { report, ...sample } = await timeRequests(
        server,
        tagsJob(server.port(), pushedTagsRepository, content, count),
        io,
      )
      const [first, last] = [report.tenths.at(0) ?? 0, report.tenths.at(-1) ?? 0]
      const tenth = countText(count / 10)
      return [
        { ...sample, note: `${countText(count)} tags in ${report.seconds.toFixed(2)} s` },
        { value: last / first, note: `${tenth} tags each: ${first.toFixed(2)} s, ${last.toFixed(2)} s` },
      ]
    },
  }
}
