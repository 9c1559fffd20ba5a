/** One connection, bytes out, answers in: for requests that no library would send. */
import { once } from 'node:events'
import { connect, type NetConnectOpts } from 'node:net'

export interface RawAnswer {
  readonly status: number
  /** By lower-case name; a repeated one is joined by commas. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/**
 * Sends the parts one after the other and reads until the server closes the connection. Rejects when it does not in
 * time: a last request with `Connection: close`, or a refusal, makes it.
 */
export async function converse(
  to: number | NetConnectOpts,
  ...parts: readonly (string | Buffer)[]
): Promise<readonly RawAnswer[]> {
  return parseAnswers(await exchange(typeof to === 'number' ? { host: '127.0.0.1', port: to } : to, parts))
}

const patienceMs = 5000

/** Strings are Latin-1: each character is one byte. */
const bytesOf = (part: string | Buffer): Buffer =>
  typeof part === 'string' ? Buffer.from(part, 'latin1') : part

async function exchange(to: NetConnectOpts, parts: readonly (string | Buffer)[]): Promise<Buffer> {
  const socket = connect({ ...to, noDelay: true })
  const received: Buffer[] = []
  // A connection that is reset ends like any other; what had come by then counts.
  socket.on('error', () => {}).on('data', (chunk: Buffer) => received.push(chunk))
  await once(socket, 'connect')
  const closed = new Promise<void>(resolve => socket.once('close', () => resolve()))
  for (const part of parts) {
    if (socket.destroyed) break
    await new Promise(resolve => socket.write(bytesOf(part), resolve))
  }
  let late = false
  const overdue = setTimeout(() => {
    late = true
    socket.destroy()
  }, patienceMs)
  await closed
  clearTimeout(overdue)
  const all = Buffer.concat(received)
  if (late)
    throw new Error(`the server kept the connection open after ${JSON.stringify(all.toString('latin1'))}`)
  return all
}

/** Every answer in a stream of them, by Content-Length or until the end; the interim ones (1xx) too. */
export function parseAnswers(all: Buffer): readonly RawAnswer[] {
  const answers: RawAnswer[] = []
  for (let rest = all; rest.length > 0; ) {
    const end = rest.indexOf('\r\n\r\n')
    const head = rest.subarray(0, end < 0 ? rest.length : end).toString('latin1')
    const [first = '', ...lines] = head.split('\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1])
    if (end < 0 || !status) throw new Error(`not an answer: ${JSON.stringify(head.slice(0, 200))}`)
    const headers: Record<string, string> = {}
    for (const line of lines) {
      const [, name = '', value = ''] = /^([^:]+): ?(.*)$/.exec(line) ?? []
      const key = name.toLowerCase()
      headers[key] = headers[key] === undefined ? value : `${headers[key]}, ${value}`
    }
    const bodiless = status < 200 || status === 204 || status === 304
    const length = bodiless ? 0 : Number(headers['content-length'] ?? rest.length)
    answers.push({ status, headers, body: rest.subarray(end + 4, end + 4 + length) })
    rest = rest.subarray(end + 4 + length)
  }
  return answers
}
