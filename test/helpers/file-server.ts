import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, ListenOptions } from 'node:net'
import type { FileSender } from '../../kernel/sender.ts'
import { sendFile } from '../../server/send-file.ts'
import type { TestCertificate } from './certificate.ts'

export interface FileServer extends AsyncDisposable {
  readonly server: Server
  readonly port: number
  /** How each request ended, in order of their arrival: undefined, or why it failed. */
  readonly outcomes: readonly Promise<unknown>[]
  /** What Node itself wrote for each answer that was sent to its end, headers included. */
  readonly writtenByNode: readonly number[]
}

/** Answers `/<start>-<end>` with that range of the file, by `sendFile`. */
export async function fileServer(options: {
  readonly file: string
  readonly sender?: FileSender | undefined
  readonly signal?: AbortSignal
  readonly tls?: TestCertificate
  readonly listen?: ListenOptions
}): Promise<FileServer> {
  const outcomes: Promise<unknown>[] = []
  const writtenByNode: number[] = []
  const signal = options.signal ?? new AbortController().signal
  const respond: RequestListener = async (req, res) => {
    const outcome = Promise.withResolvers<unknown>()
    outcomes.push(outcome.promise)
    const [start = 0, end = 0] = (req.url ?? '').slice(1).split('-').map(Number)
    const before = req.socket.bytesWritten
    const fd = openSync(options.file, 'r')
    res.setHeader('Content-Length', end - start)
    try {
      await sendFile(req, res, { fd }, { start, end }, options.sender, { signal })
      writtenByNode.push(req.socket.bytesWritten - before)
      outcome.resolve(undefined)
    } catch (error) {
      outcome.resolve(error)
    } finally {
      closeSync(fd)
    }
  }
  const server = options.tls ? createTlsServer(options.tls, respond) : createServer(respond)
  server.listen(options.listen ?? { port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  const address = server.address()
  return {
    server,
    // A path instead of an address: a unix socket, which has no port.
    port: typeof address === 'string' ? 0 : (address as AddressInfo).port,
    outcomes,
    writtenByNode,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await Promise.all(outcomes)
    },
  }
}
