import { drive, type Load, type Report } from './drive.ts'

export interface GetJob extends Load {
  readonly kind: 'get'
  readonly method: 'GET' | 'HEAD'
  readonly path: string
  /** The length of the body, for HEAD the announced one. Another length is a failure. */
  readonly bytes: number
  readonly seconds: number
}

/** Asks for one address again and again; an exchange that has begun when time is up is finished and counted. */
export function runGet(job: GetJob): Promise<Report> {
  const request = Buffer.from(`${job.method} ${job.path} HTTP/1.1\r\nHost: 127.0.0.1:${job.port}\r\n\r\n`)
  const end = performance.now() + job.seconds * 1000
  return drive(
    job,
    () => (performance.now() < end ? request : undefined),
    async (connection, bytes) => {
      await connection.send(bytes)
      const { bodyBytes } =
        job.method === 'GET' ? await connection.answer(200) : await connection.answerToHead(200)
      if (bodyBytes !== job.bytes) throw new Error(`body of ${bodyBytes} bytes, expected ${job.bytes}`)
      return bodyBytes
    },
  )
}
