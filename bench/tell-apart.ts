/** Whether the time of an answer tells what the answer does not: npm run tell-apart. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempDisposable } from 'node:fs/promises'
import { Agent, type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import type { Io } from '../oci/io.ts'
import { launch } from './launch.ts'
import {
  type Asked,
  hiddenRepository,
  type LookAlikes,
  lookAlikes,
  ownRepository,
  person,
} from './look-alikes.ts'
import { mannWhitney } from './mann-whitney.ts'
import { serverKinds, slipwayProgram } from './servers.ts'

/** A difference that chance makes less often than this is one. */
const significance = 0.01
/** A layer that many have is what one would look for. */
const otherHolders = 40
/** Not timed: the first answers of a kind are slow. */
const warmUp = 50

const usage = `usage: npm run tell-apart -- [options]
  --samples N     timings of each of the two (2000)
  --only TEXT     pairs whose title has this in it
`

const abort = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => abort.abort(new Error(signal)))

process.exitCode = await main(process.argv.slice(2), { signal: abort.signal })

async function main(args: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      samples: { type: 'string', default: '2000' },
      only: { type: 'string', default: '' },
      help: { type: 'boolean' },
    },
  })
  const samples = Number(values.samples)
  if (values.help || !(samples >= 20)) {
    console.log(usage)
    return values.help ? 0 : 2
  }
  await using folder = await mkdtempDisposable(join(tmpdir(), 'slipway-tell-apart-'))
  const [slipway] = serverKinds
  if (slipway === undefined) throw new TypeError('no server is known')
  const server = await launch(slipway, process.execPath, folder.path, io)
  try {
    const pairs = await prepare(server.port, join(folder.path, 'data'), io)
    console.log(`${'pair'.padEnd(64)} ${'median µs'.padStart(10)} ${'and'.padStart(10)}  larger       p`)
    let differing = 0
    for (const pair of pairs.filter(({ title }) => title.includes(values.only))) {
      const { first, second } = await time(server.port, pair, samples, io)
      const { share, p } = mannWhitney(first, second)
      if (p <= significance) differing++
      const medians = [first, second].map(each => median(each).toFixed(1).padStart(10)).join(' ')
      const verdict = p <= significance ? '  told apart' : ''
      console.log(`${pair.title.padEnd(64)} ${medians}  ${share.toFixed(3)}  ${p.toFixed(4)}${verdict}`)
    }
    return differing > 0 ? 1 : 0
  } finally {
    await server.stop()
  }
}

/** A repository that is hidden from `person`, and one that is theirs. */
async function prepare(port: number, data: string, io: Io): Promise<readonly LookAlikes[]> {
  const client = connection(port)
  const bytes = Buffer.from('what only the hidden repository has')
  const blob = digestOf(bytes)
  const config = { mediaType: 'application/json', digest: blob, size: bytes.length }
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [] }))
  const own = Buffer.from('what they have themselves')
  const holders = [hiddenRepository, ...Array.from({ length: otherHolders }, (_, at) => `hidden/other-${at}`)]
  for (const [path, method, body, type] of [
    ...holders.map(
      name => [`${name}/blobs/uploads/?digest=${blob}`, 'POST', bytes, 'application/octet-stream'] as const,
    ),
    [`${hiddenRepository}/manifests/latest`, 'PUT', manifest, mediaType],
    [`${ownRepository}/blobs/uploads/?digest=${digestOf(own)}`, 'POST', own, 'application/octet-stream'],
  ] as const) {
    const { status } = await client.ask({ method, path: `/v2/${path}` }, body, type)
    if (status !== 201) throw new Error(`${method} ${path}: status ${status}, expected 201`)
  }
  await command(data, ['user', 'add', person.name, '--password-stdin'], `${person.password}\n`, io)
  await command(data, ['access', 'add', `push ${ownRepository} ${person.name}`], '', io)
  const authorization = `Basic ${Buffer.from(`${person.name}:${person.password}`).toString('base64')}`
  const path = `/auth/token?scope=repository:${ownRepository}:pull`
  const issued = await client.ask({ method: 'GET', path, authorization })
  const { token } = JSON.parse(issued.text) as { token: string }
  client.close()
  return lookAlikes({ blob, manifest: digestOf(manifest), bearer: `Bearer ${token}` })
}

/** Each of the two in random order, one after the other on one connection, in microseconds. */
async function time(port: number, pair: LookAlikes, samples: number, io: Io) {
  const client = connection(port)
  const timings: { readonly first: number[]; readonly second: number[] } = { first: [], second: [] }
  try {
    for (let count = -warmUp; count < samples; count++) {
      io.signal.throwIfAborted()
      const order = Math.random() < 0.5 ? (['first', 'second'] as const) : (['second', 'first'] as const)
      for (const which of order) {
        const { status, microseconds } = await client.ask(pair[which])
        if (status !== pair.status)
          throw new Error(`${pair.title}: ${which} answered ${status}, expected ${pair.status}`)
        if (count >= 0) timings[which].push(microseconds)
      }
    }
  } finally {
    client.close()
  }
  return timings
}

function connection(port: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return {
    close: () => agent.destroy(),
    async ask({ method, path, authorization }: Asked, body?: Buffer, type?: string) {
      const headers = {
        ...(authorization !== undefined && { Authorization: authorization }),
        ...(type !== undefined && { 'Content-Type': type }),
        ...(method === 'POST' || method === 'PUT' ? { 'Content-Length': String(body?.length ?? 0) } : {}),
      }
      const began = performance.now()
      const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
      request({ host: '127.0.0.1', port, path, method, headers, agent })
        .once('response', resolve)
        .once('error', reject)
        .end(body)
      const answer = await promise
      const microseconds = (performance.now() - began) * 1_000
      return { status: answer.statusCode, text: await text(answer), microseconds }
    },
  }
}

async function command(data: string, words: readonly string[], input: string, { signal }: Io): Promise<void> {
  const child = spawn(process.execPath, [slipwayProgram, ...words, '--data', data], {
    stdio: ['pipe', 'ignore', 'pipe'],
    signal,
  })
  const { promise, resolve, reject } = Promise.withResolvers<number | null>()
  child.once('error', reject).once('close', resolve)
  child.stdin.end(input)
  const [said, status] = await Promise.all([text(child.stderr), promise])
  if (status !== 0) throw new Error(`slipway ${words.join(' ')} ended with ${status}: ${said}`)
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? 0
}
