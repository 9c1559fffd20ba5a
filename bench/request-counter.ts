import { once } from 'node:events'
import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Io } from '../oci/io.ts'

/** Requests by what they are, as `PUT part`. */
export type Counts = ReadonlyMap<string, number>

/** Stands between a server and its store, and counts what passes: tries that fail as well. */
export interface RequestCounter extends AsyncDisposable {
  readonly endpoint: string
  /** What comes while the work is done, and after it what the server still does in the background. */
  during(work: () => Promise<void>, io: Io): Promise<Counts>
}

/** So long without a request, and a server has done what it had to. */
const quietMs = 300

/** What a query says of a request; the first that is there. */
const subjects = [
  ['partNumber', 'part'],
  ['uploadId', 'upload'],
  ['uploads', 'uploads'],
  ['list-type', 'list'],
  ['delete', 'objects'],
] as const

export async function startRequestCounter(store: string): Promise<RequestCounter> {
  const { hostname, port } = new URL(store)
  const agent = new Agent({ keepAlive: true })
  let counts = new Map<string, number>()
  let [open, lastMs] = [0, 0]

  async function pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method, url: path } = incoming
    const kind = kindOf(incoming)
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
    // The Host that was signed goes on as it is.
    const onward = request({ hostname, port, method, path, headers: hopless(incoming.headers), agent })
    onward.on('continue', () => outgoing.writeContinue())
    onward.flushHeaders()
    const answered = once(onward, 'response') as Promise<[IncomingMessage]>
    // Once there is an answer, what fails is the rest of a body that the store had no interest in.
    onward.on('error', () => {})
    incoming.pipe(onward)
    const [answer] = await answered
    outgoing.sendDate = false
    outgoing.writeHead(answer.statusCode ?? 502, hopless(answer.headers))
    await pipeline(answer, outgoing)
  }

  const handle = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    open++
    pass(incoming, outgoing)
      .catch(() => outgoing.destroy())
      .finally(() => {
        open--
        lastMs = performance.now()
      })
  }

  async function quiet({ signal }: Io): Promise<void> {
    const began = performance.now()
    while (open > 0 || performance.now() - Math.max(began, lastMs) < quietMs)
      await sleep(quietMs / 10, undefined, { signal })
  }

  const server = createServer({ keepAliveTimeout: 60_000 }, handle).on('checkContinue', handle)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A TCP server's address is never a string.
  const address = server.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    async during(work, io) {
      await quiet(io)
      counts = new Map()
      await work()
      await quiet(io)
      return counts
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
      agent.destroy()
    },
  }
}

function kindOf({ method = '', url = '', headers }: IncomingMessage): string {
  const { searchParams } = new URL(url, 'http://store')
  const subject = subjects.find(([name]) => searchParams.has(name))?.[1]
  const copy = headers['x-amz-copy-source'] === undefined ? undefined : 'copy'
  return [method, subject, copy].filter(word => word !== undefined).join(' ')
}

/** Without what is said of one connection only. */
function hopless({ connection: _, 'keep-alive': __, ...headers }: IncomingHttpHeaders): IncomingHttpHeaders {
  return headers
}
