import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Io } from '../oci/io.ts'
import type { Job } from './client.ts'
import { imageRepository, smallBytes } from './content.ts'
import type { Engine, Store } from './engine.ts'
import type { Server } from './fleet.ts'
import type { Line, Measurement, Sample } from './measure.ts'
import { cpuSeconds } from './processes.ts'
import { type Plan, required } from './read-measurements.ts'
import { runClient } from './run-client.ts'
import { bytesText } from './sizes.ts'
import { settle, type Target, timeBytes, timeRequests } from './timing.ts'
import { largePushJob } from './write-measurements.ts'

/** What a small layer of an image is. */
const layerBytes = 100 * 1024

export function storeOf({ name, store }: Server): Store {
  if (store === undefined) throw new TypeError(`${name} keeps its content in a folder`)
  return store
}

/** A push of large blobs as docker makes it; the store's processor time is a line of its own. */
export function storePush({ sizes }: Plan): Measurement {
  const counts = [1, 4] as const
  return {
    name: 's3-push',
    rounds: sizes.rounds,
    applies: () => true,
    lines: counts.flatMap(count => {
      const title = `push blobs of ${bytesText(sizes.blobBytes)}, ${count} at a time`
      const goal = { ratioAtLeast: 1.2, cpuRatioAtMost: 1 }
      return withEngineLine({ title, unit: 'MB/s', cpuUnit: 's/GB', goal })
    }),
    async prepare(server, io) {
      await runClient(largePushJob(server, sizes, 1), io)
    },
    async take(server, _round, io) {
      const samples = []
      for (const count of counts) {
        await settle(server, io)
        const job = { ...largePushJob(server, sizes, count), ballastFolder: server.folder }
        samples.push(...(await besideEngine(server, storeOf(server).engine, timeBytes, job, io)))
      }
      return samples
    },
  }
}

/** Through the server, and by its word from the store itself. */
export function storeGet({ sizes, content }: Plan): Measurement {
  const { digest, bytes } = required(content.large)
  const title = `GET blob of ${bytesText(bytes)}, 4 at a time`
  const job = ({ port }: Target) => {
    const path = `/v2/${imageRepository}/blobs/${digest}`
    const load = { port: port(), connections: 4, seconds: sizes.getSeconds }
    return { kind: 'get', method: 'GET', path, bytes, ...load } as const
  }
  return {
    name: 's3-get',
    rounds: sizes.rounds,
    applies: () => true,
    lines: [title, `${title}, redirected`].flatMap(each =>
      withEngineLine({ title: each, unit: 'MB/s', cpuUnit: 's/GB' }),
    ),
    async prepare(server, io) {
      await runClient(job(server), io)
    },
    async take(server, _round, io) {
      const { engine } = storeOf(server)
      const through = await besideEngine(server, engine, timeBytes, job(server), io)
      await using redirecting = await launchRedirecting(server, io)
      const redirected = { ...job(redirecting), redirectPort: Number(new URL(engine.endpoint).port) }
      await runClient(redirected, io)
      return [...through, ...(await besideEngine(redirecting, engine, timeBytes, redirected, io))]
    },
  }
}

/** Another on the same bucket. */
async function launchRedirecting(server: Server, io: Io): Promise<Target & AsyncDisposable> {
  const folder = await mkdtemp(join(server.folder, 'redirecting-'))
  const { port, pid, stop } = await server.launchAnother(folder, io, { ...storeOf(server), redirect: true })
  return {
    port: () => port,
    pid: () => pid,
    async [Symbol.asyncDispose]() {
      await stop()
      await rm(folder, { recursive: true })
    },
  }
}

export function storePushSmall({ sizes }: Plan): Measurement {
  const all = [smallBytes, layerBytes]
  return {
    name: 's3-push-small',
    rounds: sizes.rounds,
    applies: () => true,
    lines: all.flatMap(bytes => {
      const title = `push blobs of ${bytesText(bytes)}, 16 at a time`
      return withEngineLine({ title, unit: 'pushes/s', cpuUnit: 's/10k', goal: { ratioAtLeast: 1.5 } })
    }),
    async take(server, _round, io) {
      const samples = []
      for (const bytes of all) {
        await settle(server, io)
        const until = { seconds: sizes.smallPushSeconds }
        const load = { port: server.port(), connections: 16, bytes, until }
        const job = { kind: 'push', repository: imageRepository, way: 'chunked', ...load } as const
        samples.push(...(await besideEngine(server, storeOf(server).engine, timeRequests, job, io)))
      }
      return samples
    },
  }
}

const withEngineLine = (line: Line & { readonly cpuUnit: string }): Line[] => [
  line,
  { title: 'CPU of the store meanwhile', unit: line.cpuUnit },
]

async function besideEngine(
  server: Target,
  engine: Engine,
  time: typeof timeBytes | typeof timeRequests,
  job: Job,
  io: Io,
): Promise<Sample[]> {
  const before = cpuSeconds(engine.pid)
  const { report, ...sample } = await time(server, job, io)
  const units = time === timeBytes ? report.bytes / 1e9 : report.requests / 1e4
  return [sample, { value: (cpuSeconds(engine.pid) - before) / units }]
}
