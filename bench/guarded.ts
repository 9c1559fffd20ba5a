import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Io } from '../oci/io.ts'
import { type Content, imageRepository, imageTag } from './content.ts'
import { pushImage } from './fill-api.ts'
import type { Server } from './fleet.ts'
import { runProgram } from './program.ts'
import { slipwayProgram } from './servers.ts'
import type { Target } from './timing.ts'

/** Another Slipway with the one image, whose journey begins with the measurement, so that none has a longer one behind it. */
export interface Fresh extends Target, AsyncDisposable {}

/** One that asks everybody who they are, and the one that it knows. */
export interface Guarded extends Fresh {
  /** How its robot proves itself where passwords are taken. */
  readonly basic: string
}

export const tokenPath = `/auth/token?service=slipway&scope=repository:${imageRepository}:pull`

const robot = 'bench'

/** Whoever can reach it may do anything. */
export async function launchOpen(server: Server, content: Content, io: Io): Promise<Fresh> {
  const { fresh } = await launchFilled(server, content, io)
  return fresh
}

export async function launchGuarded(server: Server, content: Content, io: Io): Promise<Guarded> {
  const { fresh, data } = await launchFilled(server, content, io)
  const administer = (...words: readonly string[]) =>
    runProgram(process.execPath, [slipwayProgram, ...words, '--data', data], io)
  try {
    await administer('robot', 'add', robot)
    await administer('access', 'add', `pull ** robot:${robot}`)
    const { stdout } = await administer('token', 'create', '--robot', robot)
    const basic = `Basic ${Buffer.from(`${robot}:${stdout.trim()}`).toString('base64')}`
    return { ...fresh, basic }
  } catch (error) {
    await fresh[Symbol.asyncDispose]()
    throw error
  }
}

/** The Authorization of a token of the registry's own, another one each time. */
export async function bearerOf({ port, basic }: Guarded, { signal }: Io): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port()}${tokenPath}`, {
    headers: { Authorization: basic },
    signal,
  })
  const answer: unknown = await response.json()
  const token = answer instanceof Object && 'token' in answer ? answer.token : undefined
  if (typeof token !== 'string') throw new Error(`GET ${tokenPath}: status ${response.status}, no token`)
  return `Bearer ${token}`
}

async function launchFilled(server: Server, content: Content, io: Io) {
  const folder = await mkdtemp(join(server.folder, 'fresh-'))
  const launched = await server.launchAnother(folder, io)
  const fresh: Fresh = {
    port: () => launched.port,
    pid: () => launched.pid,
    async [Symbol.asyncDispose]() {
      await launched.stop()
      await rm(folder, { recursive: true })
    },
  }
  try {
    await pushImage(launched.port, imageRepository, content, imageTag, io)
    return { fresh, data: join(folder, 'data') }
  } catch (error) {
    await fresh[Symbol.asyncDispose]()
    throw error
  }
}
