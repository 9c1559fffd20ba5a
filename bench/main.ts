import { mkdtemp, rm, statfs } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import type { Io } from '../oci/io.ts'
import { type Content, writeContent } from './content.ts'
import { type Engine, type Store, startEngine } from './engine.ts'
import { findProgram } from './find-program.ts'
import { type Candidate, openServer, type Server } from './fleet.ts'
import { measure, type Row } from './measure.ts'
import { measurements } from './measurements.ts'
import { type Options, parseOptions, usage } from './options.ts'
import { s3ServerKinds, serverKinds } from './servers.ts'
import { markdownTable, terminalTable } from './table.ts'

/** Blobs of the timed pushes stay until the end of the run, three times over. */
const freeBytesWanted = 30e9

const abort = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => abort.abort(new Error(signal)))

process.exitCode = await main(process.argv.slice(2), { signal: abort.signal })

async function main(args: readonly string[], io: Io): Promise<number> {
  try {
    const options = parseOptions(args)
    if (options === undefined) {
      console.log(usage)
      return 0
    }
    const failed = await bench(options, io)
    return failed ? 1 : 0
  } catch (error) {
    say(error instanceof Error ? error.message : String(error))
    return error instanceof TypeError ? 2 : 1
  }
}

/** True when a server failed at something. */
async function bench(options: Options, io: Io): Promise<boolean> {
  if (options.storage === 'folder' && (await findProgram('wrk', io)) === undefined)
    throw new Error('wrk is missing: apt-get install wrk')
  const folder = await mkdtemp(join(options.folder, 'data-'))
  const servers: Server[] = []
  let engine: Engine | undefined
  try {
    await checkSpace(folder)
    if (options.storage === 's3') engine = await startEngine(join(folder, 'engine'), io)
    const needs = new Set(options.only.flatMap(name => measurements[name].needs))
    say('writing the content')
    const content = await writeContent(join(folder, 'content'), needs, options.sizes, io)
    for (const candidate of await findServers(options, io)) {
      say(`filling and starting ${candidate.name}`)
      const server = await tryOpen(
        candidate,
        join(folder, candidate.kind.id),
        content,
        io,
        await engine?.store(),
      )
      if (server !== undefined) servers.push(server)
    }
    return await runAll(options, content, servers, io)
  } finally {
    await Promise.all(servers.map(server => server.stop()))
    await engine?.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function runAll(
  options: Options,
  content: Content,
  servers: readonly Server[],
  io: Io,
): Promise<boolean> {
  const { sizes, copy } = options
  const table = options.markdown ? markdownTable() : terminalTable()
  console.log(
    `${cpus().length} cores, ${cpus()[0]?.model ?? ''}, load ${loadavg()[0]?.toFixed(2)}, Node ${process.version}`,
  )
  console.log(`median of ${sizes.rounds}; x: ratio to distribution 3; client: cores that the client used\n`)
  console.log(table.header())
  const rows: Row[] = []
  for (const name of options.only) {
    const measured = await measure(measurements[name].plan({ sizes, content, copy }), servers, say, io)
    if (measured.length > 0) console.log(table.rows(measured))
    rows.push(...measured)
  }
  return rows.some(row => 'failure' in row)
}

async function findServers(options: Options, io: Io): Promise<Candidate[]> {
  const candidates: Candidate[] = []
  for (const kind of options.storage === 's3' ? s3ServerKinds : serverKinds) {
    const found = await kind.find({ distribution: options.distribution }, io)
    if ('missing' in found) console.log(`without ${kind.id}: ${found.missing}`)
    else candidates.push({ kind, ...found })
  }
  return candidates
}

async function tryOpen(
  candidate: Candidate,
  folder: string,
  content: Content,
  io: Io,
  store: Store | undefined,
): Promise<Server | undefined> {
  try {
    return await openServer(candidate, folder, content, io, store)
  } catch (error) {
    io.signal.throwIfAborted()
    console.log(`without ${candidate.name}: ${error instanceof Error ? error.message : String(error)}`)
    return undefined
  }
}

async function checkSpace(folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  if (bavail * bsize >= freeBytesWanted) return
  throw new Error(`${folder} has less than ${freeBytesWanted / 1e9} GB free: give another by --dir`)
}

function say(what: string): void {
  console.error(what)
}
