import { drive, type Load, type Report } from './drive.ts'

export interface TagsJob extends Load {
  readonly kind: 'tags'
  readonly repository: string
  readonly manifest: string
  readonly mediaType: string
  readonly count: number
}

/** Names in the order of their numbers. */
export function tagName(index: number): string {
  return `v${String(index).padStart(6, '0')}`
}

/** Puts one manifest under so many tags. */
export function runTags(job: TagsJob): Promise<Report> {
  const body = Buffer.from(job.manifest)
  const fields = `Host: 127.0.0.1:${job.port}\r\nContent-Type: ${job.mediaType}\r\nContent-Length: ${body.length}`
  let index = 0
  return drive(
    job,
    () => (index < job.count ? index++ : undefined),
    async (connection, number) => {
      const line = `PUT /v2/${job.repository}/manifests/${tagName(number)} HTTP/1.1`
      await connection.send(Buffer.concat([Buffer.from(`${line}\r\n${fields}\r\n\r\n`), body]))
      await connection.answer(201)
      return body.length
    },
  )
}
