import type { Io } from '../oci/io.ts'
import { tagName } from './client-tags.ts'
import {
  type Blob,
  type Content,
  catalogName,
  imageRepository,
  imageTag,
  manyTagsRepository,
  tagsRepository,
} from './content.ts'
import { pushImage, tagsJob } from './fill-api.ts'
import { pageSize } from './fill-files.ts'
import type { Server } from './fleet.ts'
import type { Goal } from './goals.ts'
import type { Measurement } from './measure.ts'
import { inPairs } from './pairs.ts'
import { runClient } from './run-client.ts'
import { bytesText, countText, type Sizes } from './sizes.ts'
import { timeBytes, timeRequests, timeWrk } from './timing.ts'

export interface Plan {
  readonly sizes: Sizes
  readonly content: Content
  /** Gets with a client that copies what it receives. */
  readonly copy: boolean
}

const everyone = () => true
const onlySlipway = (server: Server) => server.kind.id === 'slipway'
/** Until a server that compiles as it runs has compiled what is asked for. */
const warmSeconds = 3

export function getLarge({ sizes, content, copy }: Plan): Measurement {
  const counts = [1, 4, 16]
  const blob = required(content.large)
  const load = (server: Server, connections: number) =>
    ({ ...getBlob(server, blob), connections, seconds: sizes.getSeconds, copy }) as const
  return {
    name: 'get',
    rounds: sizes.rounds,
    applies: everyone,
    lines: counts.map(count => ({
      title: `GET blob of ${bytesText(blob.bytes)}, ${count} at a time${copy ? ', copied' : ''}`,
      unit: 'MB/s',
      cpuUnit: 's/GB',
      ...(count === 4 && { goal: { ratioAtLeast: 2, cpuRatioAtMost: 0.35 } }),
    })),
    async prepare(server, io) {
      await runClient(load(server, 1), io)
    },
    async take(server, _round, io) {
      const samples = []
      for (const count of counts) samples.push(await timeBytes(server, load(server, count), io))
      return samples
    },
  }
}

export function manifestByTag({ sizes }: Plan): Measurement {
  const path = `/v2/${imageRepository}/manifests/${imageTag}`
  return wrkMeasurement('manifest', 'GET manifest by tag, wrk -c64', path, sizes, {
    ratioAtLeast: 6,
    p99RatioAtMost: 1,
  })
}

export function getSmall({ sizes, content: { small } }: Plan): Measurement {
  const path = `/v2/${imageRepository}/blobs/${small.digest}`
  return wrkMeasurement('blob', `GET blob of ${bytesText(small.bytes)}, wrk -c64`, path, sizes, {
    ratioAtLeast: 20,
  })
}

/** By our own client: wrk waits for the body that an answer to HEAD announces. */
export function headSmall({ sizes, content: { small } }: Plan): Measurement {
  const job = (server: Server, seconds: number) =>
    ({ ...getBlob(server, small), method: 'HEAD', connections: 64, seconds }) as const
  return {
    name: 'head',
    rounds: sizes.rounds,
    applies: everyone,
    lines: [{ title: 'HEAD blob, 64 at a time', unit: 'req/s', cpuUnit: 's/10k' }],
    async prepare(server, io) {
      await runClient(job(server, warmSeconds), io)
    },
    take: async (server, _round, io) => [await timeRequests(server, job(server, sizes.wrkSeconds), io)],
  }
}

export function tagsPage({ sizes }: Plan): Measurement {
  const title = `tags, ${pageSize} of ${countText(sizes.tags)}, wrk -c64`
  const path = tagsPath(tagsRepository, sizes.tags)
  const measurement = wrkMeasurement('tags', title, path, sizes, { ratioAtLeast: 20 })
  return { ...measurement, take: withPageNote(measurement, path, 'tags') }
}

export function catalogPage({ sizes }: Plan): Measurement {
  const path = `/v2/_catalog?n=${pageSize}&last=${catalogName(sizes.repositories / 2 - 1)}`
  const title = `catalog, ${pageSize} of ${countText(sizes.repositories)}, wrk -c64`
  const measurement = wrkMeasurement('catalog', title, path, sizes, { ratioAtLeast: 10 })
  return { ...measurement, take: withPageNote(measurement, path, 'repositories') }
}

/** In a repository of many tags, against the same in a repository of one. */
export function manyTags({ sizes, content }: Plan): Measurement {
  const count = countText(sizes.manyTags)
  const one = 'GET manifest by tag, the only tag'
  const many = tagName(sizes.manyTags / 2)
  return {
    name: 'many-tags',
    rounds: sizes.rounds,
    applies: onlySlipway,
    lines: [
      { title: one, unit: 'req/s', cpuUnit: 's/10k' },
      {
        title: `the same of ${count} tags`,
        unit: 'req/s',
        cpuUnit: 's/10k',
        goal: { ratioAtLeast: 0.95, ownLine: one },
      },
      { title: `tags, ${pageSize} of ${count}`, unit: 'req/s', cpuUnit: 's/10k', goal: { p99MsAtMost: 20 } },
    ],
    async prepare(server, io) {
      await pushImage(server.port(), manyTagsRepository, content, undefined, io)
      await runClient(tagsJob(server.port(), manyTagsRepository, content, sizes.manyTags), io)
      await timeWrk(server, { path: `/v2/${manyTagsRepository}/manifests/${many}`, seconds: warmSeconds }, io)
    },
    async take(server, _round, io) {
      const time = (path: string, seconds: number) => timeWrk(server, { path, seconds }, io)
      const manifests = await inPairs(
        [`${imageRepository}/manifests/${imageTag}`, `${manyTagsRepository}/manifests/${many}`].map(
          path => () => time(`/v2/${path}`, sizes.pairSeconds),
        ),
        sizes.pairs,
      )
      return [...manifests, await time(tagsPath(manyTagsRepository, sizes.manyTags), sizes.wrkSeconds)]
    },
  }
}

function wrkMeasurement(name: string, title: string, path: string, sizes: Sizes, goal: Goal): Measurement {
  return {
    name,
    rounds: sizes.rounds,
    applies: everyone,
    lines: [{ title, unit: 'req/s', cpuUnit: 's/10k', goal }],
    async prepare(server, io) {
      await timeWrk(server, { path, seconds: warmSeconds }, io)
    },
    take: async (server, _round, io) => [await timeWrk(server, { path, seconds: sizes.wrkSeconds }, io)],
  }
}

/** Says so where the answer is not a page of the asked size. */
function withPageNote(
  measurement: Measurement,
  path: string,
  list: 'tags' | 'repositories',
): Measurement['take'] {
  return async (server, round, io) => {
    const samples = await measurement.take(server, round, io)
    const listed = await listLength(server, path, list, io)
    const note = listed === pageSize ? {} : { note: `answered ${countText(listed)} ${list}` }
    return samples.map(sample => sample && { ...sample, ...note })
  }
}

async function listLength(server: Server, path: string, list: string, { signal }: Io): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${server.port()}${path}`, { signal })
  const answer: unknown = await response.json()
  const names =
    answer instanceof Object ? Object.entries(answer).find(([key]) => key === list)?.[1] : undefined
  if (!Array.isArray(names)) throw new Error(`GET ${path}: no list of ${list} in the answer`)
  return names.length
}

function tagsPath(repository: string, count: number): string {
  return `/v2/${repository}/tags/list?n=${pageSize}&last=${tagName(count / 2 - 1)}`
}

function getBlob(server: Server, blob: Blob) {
  const path = `/v2/${imageRepository}/blobs/${blob.digest}`
  return { kind: 'get', method: 'GET', port: server.port(), path, bytes: blob.bytes } as const
}

export function required<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError('the content does not have what the measurement needs')
  return value
}
