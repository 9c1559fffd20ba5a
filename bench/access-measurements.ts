import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Io } from '../oci/io.ts'
import { imageRepository, imageTag } from './content.ts'
import type { Server } from './fleet.ts'
import { bearerOf, type Guarded, launchGuarded, launchOpen, tokenPath } from './guarded.ts'
import { type Measurement, medianOf, type Sample } from './measure.ts'
import { inPairs, inTurn, medians } from './pairs.ts'
import { cpuSeconds } from './processes.ts'
import type { Plan } from './read-measurements.ts'
import { countText } from './sizes.ts'
import { timeWrk } from './timing.ts'
import { type LoginReport, type WrongLogins, wrongLogins } from './wrong-logins.ts'

const path = `/v2/${imageRepository}/manifests/${imageTag}`
const onlySlipway = (server: Server) => server.kind.id === 'slipway'
const warmSeconds = 1
const perSecond = 50

/** A registry that asks who comes against one that is open, both just started, in turns. */
export function bearer({ sizes, content }: Plan): Measurement {
  const open = 'GET manifest by tag, open registry, wrk -c64'
  const goal = { ratioAtLeast: 0.85, ownLine: open }
  return {
    name: 'bearer',
    rounds: 1,
    applies: onlySlipway,
    lines: [
      { title: open, unit: 'req/s', cpuUnit: 's/10k' },
      { title: 'the same with a Bearer token', unit: 'req/s', cpuUnit: 's/10k', goal },
      {
        title: `the same with ${countText(sizes.distinctTokens)} Bearer tokens in turn`,
        unit: 'req/s',
        cpuUnit: 's/10k',
        goal,
      },
    ],
    async take(server, _round, io) {
      await using openServer = await launchOpen(server, content, io)
      await using guarded = await launchGuarded(server, content, io)
      const authorizations = await writeBearers(
        join(server.folder, 'bearers'),
        guarded,
        sizes.distinctTokens,
        io,
      )
      const authorization = await bearerOf(guarded, io)
      const time = (seconds: number) =>
        [
          () => timeWrk(openServer, { path, seconds }, io),
          () => timeWrk(guarded, { path, seconds, authorization }, io),
          () => timeWrk(guarded, { path, seconds, authorizations }, io),
        ] as const
      await inTurn(time(warmSeconds), 0)
      return await inPairs(time(sizes.pairSeconds), sizes.pairs)
    },
  }
}

/** The way of a robot that shows its API token to the token server, each time for a token of the registry's own. */
export function tokens({ sizes, content }: Plan): Measurement {
  const title = "token for a robot's API token"
  return {
    name: 'tokens',
    rounds: 1,
    applies: onlySlipway,
    lines: [
      { title: `${title}, wrk -c64`, unit: 'req/s', cpuUnit: 's/10k' },
      { title: 'tokens for each CPU second of the server', unit: 'tokens', goal: { valueAtLeast: 2000 } },
    ],
    async take(server, _round, io) {
      await using guarded = await launchGuarded(server, content, io)
      const time = (seconds: number) =>
        timeWrk(guarded, { path: tokenPath, seconds, authorization: guarded.basic }, io)
      await time(warmSeconds)
      const samples: Sample[] = []
      for (const _ of Array(sizes.rounds).keys()) samples.push(await time(sizes.wrkSeconds))
      const sample = medianOf(samples)
      return [sample, { value: 1e4 / (sample.cpu ?? Number.POSITIVE_INFINITY) }]
    },
  }
}

/** Whether pulls notice that somebody guesses passwords. */
export function logins({ sizes, content }: Plan): Measurement {
  const alone = 'GET manifest with a Bearer token, wrk -c8'
  const attack = `${perSecond} wrong logins a second`
  return {
    name: 'logins',
    rounds: 1,
    applies: onlySlipway,
    lines: [
      { title: alone, unit: 'req/s', cpuUnit: 's/10k' },
      { title: `the same beside ${attack}`, unit: 'req/s', goal: { p99MsAtMost: 20, ownLine: alone } },
      { title: `${attack}, alone`, unit: 'hashed/s', cpuUnit: 's/1k' },
    ],
    async take(server, _round, io) {
      await using guarded = await launchGuarded(server, content, io)
      const load = { path, connections: 8, authorization: await bearerOf(guarded, io) }
      const seconds = sizes.loginSeconds
      await timeWrk(guarded, { ...load, seconds: warmSeconds }, io)
      const attacker = wrongLogins(guarded.port(), perSecond)
      const rounds: Sample[][] = []
      for (const _ of Array(sizes.rounds).keys()) {
        const quiet = await timeWrk(guarded, { ...load, seconds }, io)
        const beside = await attacker.during(() => timeWrk(guarded, { ...load, seconds }, io), io)
        // What it costs, pulls and all, is nobody's in particular.
        const { cpu, ...pulled } = beside.result
        rounds.push([
          quiet,
          { ...pulled, note: noteOf(beside.report) },
          await timeLogins(guarded, attacker, seconds, io),
        ])
      }
      return medians(rounds)
    },
  }
}

async function timeLogins(guarded: Guarded, attacker: WrongLogins, seconds: number, io: Io): Promise<Sample> {
  const before = cpuSeconds(guarded.pid())
  const { report } = await attacker.during(() => sleep(seconds * 1000, undefined, io), io)
  const cpu = cpuSeconds(guarded.pid()) - before
  const { hashed, p50Ms, p99Ms } = report
  return {
    value: hashed / report.seconds,
    p50Ms,
    p99Ms,
    cpu: (cpu / hashed) * 1000,
    note: noteOf(report),
  }
}

const noteOf = ({ sent, hashed, others }: LoginReport) =>
  `${hashed} of ${sent} hashed${others === '' ? '' : `, ${others}`}`

/** One token a line, each a token of its own. */
async function writeBearers(file: string, guarded: Guarded, count: number, io: Io): Promise<string> {
  const lines: string[] = []
  while (lines.length < count) lines.push(await bearerOf(guarded, io))
  await writeFile(file, lines.join('\n'))
  return file
}
