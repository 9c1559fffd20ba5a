/** A registry in this process that keeps a folder, so that large bodies are taken away from Node, and what tests ask of it. */
import { mkdtempDisposable } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, expect } from 'vitest'
import { type FileReceiver, fileReceiver, type Reception } from '../../kernel/receiver.ts'
import type { Digest } from '../../oci/names.ts'
import { openFolder } from '../../storage/open.ts'
import { chunked } from './chunked.ts'
import type { RawAnswer } from './converse.ts'
import { digest } from './images.ts'
import { type RegistryOverrides, startRegistry, type TestRegistry } from './registry.ts'
import { ask } from './requests.ts'
import { until } from './until.ts'

export interface Receiving extends TestRegistry {
  readonly folder: string
  /** The bodies that were taken away from Node, in their order. */
  readonly taken: Reception[]
  /** Another server of the same folder, with the same receiver. */
  beside(overrides: RegistryOverrides): Promise<TestRegistry>
}

/** One for all tests of a file; what was taken is forgotten before each. */
export async function receivingForAll(): Promise<Receiving> {
  const registry = await startReceiving()
  beforeEach(() => void registry.taken.splice(0))
  afterAll(() => registry[Symbol.asyncDispose]())
  return registry
}

async function startReceiving(): Promise<Receiving> {
  const folder = await mkdtempDisposable(join(tmpdir(), 'slipway-test-'))
  const { store, close } = await openFolder(join(folder.path, 'data'), 'server', { durability: 'relaxed' })
  const kernel = fileReceiver(() => {})
  const taken: Reception[] = []
  const receiver: FileReceiver = {
    ...kernel,
    receive(socketFd, reception, io) {
      taken.push(reception)
      return kernel.receive(socketFd, reception, io)
    },
  }
  const kept = { ...store, close: async () => {} }
  const beside = (overrides: RegistryOverrides) => startRegistry({ store: kept, receiver, ...overrides })
  const registry = await beside({})
  return {
    ...registry,
    folder: folder.path,
    taken,
    beside,
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]()
      await kernel.close()
      await close()
      await folder[Symbol.asyncDispose]()
    },
  }
}

export const inChunks = 'Transfer-Encoding: chunked'
export const inOne = (length: number) => `Content-Length: ${length}`

/** How a body says where it ends. */
export const framings = [
  { framing: 'of a given length', header: inOne, body: (bytes: Buffer) => bytes },
  { framing: 'in chunks', header: () => inChunks, body: (bytes: Buffer) => chunked(bytes, 32 * 1024) },
] as const

export const head = (line: string, ...headers: readonly string[]) =>
  `${[`${line} HTTP/1.1`, 'Host: test', ...headers].join('\r\n')}\r\n\r\n`

/** Strings are Latin-1: each character is one byte. */
export const bytesOf = (...parts: readonly (string | Buffer)[]) =>
  Buffer.concat(parts.map(part => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)))

export const statuses = (answers: readonly RawAnswer[]) => answers.map(({ status }) => status)

/** The requests that were handled, by the id that they gave themselves. */
export const handled = ({ observations }: TestRegistry) =>
  observations.flatMap(each => (each.event === 'request' ? [each.id] : []))

/** The address of a new upload. */
export async function startUpload({ port }: TestRegistry): Promise<string> {
  const { headers } = await ask(port, { method: 'POST', target: '/v2/a/blobs/uploads/', body: '' })
  return headers.location ?? ''
}

/** How many bytes an upload holds: none, or more than one. */
export async function sizeOf({ port }: TestRegistry, location: string): Promise<number> {
  const { headers } = await ask(port, { target: location })
  const last = Number(/^0-(\d+)$/.exec(headers.range ?? '')?.[1])
  return last === 0 ? 0 : last + 1
}

export const finishing = (location: string, of: Digest) => `${location}?digest=${of}`

/** That an upload holds exactly these bytes: its digest is verified, and what is then stored compared. */
export async function expectUploaded(registry: TestRegistry, location: string, bytes: Buffer): Promise<void> {
  const put = { method: 'PUT', target: finishing(location, digest(bytes)), body: '' }
  expect((await ask(registry.port, put)).status).toBe(201)
  await expectBlob(registry, bytes)
}

export async function expectBlob({ port }: TestRegistry, bytes: Buffer): Promise<void> {
  const { status, body } = await ask(port, { target: `/v2/a/blobs/${digest(bytes)}` })
  expect(status).toBe(200)
  expect(body.equals(bytes)).toBe(true)
}

/** Sends what is missing of an upload, as soon as nobody else writes to it. Returns its new address. */
export async function resume(registry: TestRegistry, location: string, bytes: Buffer): Promise<string> {
  let answer: RawAnswer | undefined
  await until('the upload is not busy', async () => {
    const size = await sizeOf(registry, location)
    const headers = [`Content-Range: ${size}-${bytes.length - 1}`]
    answer = await ask(registry.port, {
      method: 'PATCH',
      target: location,
      headers,
      body: bytes.subarray(size),
    })
    return answer.status !== 409
  })
  expect(answer?.status).toBe(202)
  return answer?.headers.location ?? ''
}

/** What is answered on a connection until it ends. */
export function answerTo(socket: Socket): Promise<string> {
  const received: Buffer[] = []
  socket.on('data', (chunk: Buffer) => received.push(chunk))
  return new Promise(resolve =>
    socket.once('close', () => resolve(Buffer.concat(received).toString('latin1'))),
  )
}
