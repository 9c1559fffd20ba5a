import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { imageRepository } from './content.ts'
import type { Measurement } from './measure.ts'
import { forgetPeaks, peakMemory, residentMemory } from './processes.ts'
import type { Plan } from './read-measurements.ts'
import { runClient } from './run-client.ts'
import { bytesText } from './sizes.ts'
import { settle } from './timing.ts'
import { largePushJob } from './write-measurements.ts'

/** What a server does by itself once it has started is over by then. */
const restMs = 2000

/** Another instance on an empty folder, so that what the running one has been through does not show. */
export function start({ sizes }: Plan): Measurement {
  return {
    name: 'start',
    rounds: sizes.rounds,
    applies: () => true,
    lines: [
      { title: 'start, to the first GET /v2/ answered', unit: 'ms', goal: { valueAtMost: 400 } },
      { title: 'memory at rest, a worker', unit: 'MB' },
      { title: 'memory at rest, all processes', unit: 'MB' },
    ],
    async take(server, _round, io) {
      const folder = await mkdtemp(join(server.folder, 'start-'))
      const launched = await server.launchAnother(folder, io)
      try {
        await sleep(restMs, undefined, { signal: io.signal })
        const { workerMB, sumMB } = residentMemory(launched.pid)
        return [{ value: launched.startMs }, { value: workerMB }, { value: sumMB }]
      } finally {
        await launched.stop()
        await rm(folder, { recursive: true })
      }
    },
  }
}

/** The highest resident memory while sixteen clients get, then push; the server is started anew before. */
export function memory({ sizes, content }: Plan): Measurement {
  const gets = `memory at 16 GETs of ${bytesText(sizes.hugeBytes)}`
  const pushes = `memory at 16 pushes of ${bytesText(sizes.blobBytes)}`
  return {
    name: 'memory',
    rounds: 1,
    applies: () => true,
    lines: [
      { title: `${gets}, a worker`, unit: 'MB', goal: { valueAtMost: 100 } },
      { title: `${gets}, all processes`, unit: 'MB' },
      { title: `${pushes}, a worker`, unit: 'MB', goal: { valueAtMost: 140 } },
      { title: `${pushes}, all processes`, unit: 'MB' },
    ],
    async take(server, _round, io) {
      const { huge } = content
      if (huge === undefined) throw new TypeError('the content does not have the largest blob')
      await server.restart(io)
      await sleep(restMs, undefined, { signal: io.signal })
      forgetPeaks(server.pid())
      const path = `/v2/${imageRepository}/blobs/${huge.digest}`
      const load = { port: server.port(), connections: 16, seconds: 0.1, bytes: huge.bytes }
      await runClient({ kind: 'get', method: 'GET', path, ...load }, io)
      const getting = peakMemory(server.pid())
      const got = [{ value: getting.workerMB }, { value: getting.sumMB }]
      if (!server.kind.takesPushes) return got
      await settle(server, io)
      forgetPeaks(server.pid())
      await runClient(largePushJob(server, sizes, 16), io)
      const pushing = peakMemory(server.pid())
      return [...got, { value: pushing.workerMB }, { value: pushing.sumMB }]
    },
  }
}
