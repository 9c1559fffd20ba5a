import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Io } from '../oci/io.ts'
import type { Content } from './content.ts'
import type { Store } from './engine.ts'
import { fillThroughApi } from './fill-api.ts'
import { fillFiles, fillTree } from './fill-files.ts'
import { type Launched, launch } from './launch.ts'
import type { ServerKind } from './servers.ts'
import { verify } from './verify.ts'

/** A server that runs, filled with the content. */
export interface Server {
  readonly kind: ServerKind
  readonly name: string
  readonly folder: string
  port(): number
  pid(): number
  /** Ends it and starts it again on its data. */
  restart(io: Io): Promise<void>
  /** Undefined where its content lies in the folder. */
  readonly store?: Store | undefined
  /** Starts another of its kind, on an empty folder, or on a store. */
  launchAnother(folder: string, io: Io, store?: Store): Promise<Launched>
  stop(): Promise<void>
}

export interface Candidate {
  readonly kind: ServerKind
  readonly name: string
  readonly program: string
}

/** Fills and starts one server. Throws when it does not start, or does not give what it was filled with. */
export async function openServer(
  { kind, name, program }: Candidate,
  folder: string,
  content: Content,
  io: Io,
  store?: Store,
): Promise<Server> {
  const data = join(folder, 'data')
  await mkdir(data, { recursive: true })
  const fill = store ? 'api' : kind.fill
  if (fill === 'tree') fillTree(data, content)
  if (fill === 'files') fillFiles(data, content)
  let launched = await launch(kind, program, folder, io, store)
  const server: Server = {
    kind,
    name,
    folder,
    store,
    port: () => launched.port,
    pid: () => launched.pid,
    async restart(restartIo) {
      await launched.stop()
      launched = await launch(kind, program, folder, restartIo, store)
    },
    launchAnother: (other, otherIo, otherStore) => launch(kind, program, other, otherIo, otherStore),
    stop: () => launched.stop(),
  }
  try {
    if (fill === 'api') await fillThroughApi(server.port(), content, io)
    await verify(server.port(), content, io)
  } catch (error) {
    await server.stop()
    throw error
  }
  return server
}
