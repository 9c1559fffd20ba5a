import type { Connection } from './connection.ts'
import { drive, type Load, type Open, type Report } from './drive.ts'

export interface GetJob extends Load {
  readonly kind: 'get'
  readonly method: 'GET' | 'HEAD'
  readonly path: string
  /** The length of the body, for HEAD the announced one. Another length is a failure. */
  readonly bytes: number
  readonly seconds: number
  /** Where the answer sends to for the body; without it, the body is to be in the answer. */
  readonly redirectPort?: number
}

/** Asks for one address again and again; an exchange that has begun when time is up is finished and counted. */
export function runGet(job: GetJob): Promise<Report> {
  const request = requestFor(job.method, job.path, job.port)
  const end = performance.now() + job.seconds * 1000
  const stores = new WeakMap<Connection, Connection>()

  async function bodyOf(connection: Connection, open: Open): Promise<number> {
    const { redirectPort } = job
    if (job.method === 'HEAD') return (await connection.answerToHead(200)).bodyBytes
    if (redirectPort === undefined) return (await connection.answer(200)).bodyBytes
    const { location } = await connection.answer(307)
    const store = stores.get(connection) ?? open(redirectPort)
    stores.set(connection, store)
    await store.send(requestFor('GET', location, redirectPort))
    return (await store.answer(200)).bodyBytes
  }

  return drive(
    job,
    () => (performance.now() < end ? request : undefined),
    async (connection, bytes, open) => {
      await connection.send(bytes)
      const bodyBytes = await bodyOf(connection, open)
      if (bodyBytes !== job.bytes) throw new Error(`body of ${bodyBytes} bytes, expected ${job.bytes}`)
      return bodyBytes
    },
  )
}

const requestFor = (method: string, path: string, port: number) =>
  Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
