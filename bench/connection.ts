import type { Poller } from './socket.ts'

/** HTTP/1.1 over a kept connection, as little of it as the registries' answers to the bench need. */
export interface Connection {
  /** All of it. The number of bytes. */
  send(bytes: Uint8Array): Promise<number>
  /** Reads one answer to its end. Throws when the status is another, or the body shorter than announced. */
  answer(expectedStatus: number): Promise<Answer>
  /** The same for an answer to HEAD: the body is announced and does not come. */
  answerToHead(expectedStatus: number): Promise<Answer>
  close(): void
}

export interface Answer {
  readonly bodyBytes: number
  /** Path and query to go on with, whether the server gave a path or a whole URL. */
  readonly location: string
}

interface Head {
  readonly text: string
  /** The bytes behind the head that came along with it. */
  readonly surplus: Buffer
}

const maxHeadBytes = 8192

export function openConnection(poller: Poller, port: number): Connection {
  let socket = poller.connect(port)
  const head = Buffer.alloc(maxHeadBytes)
  let closing = false

  async function readHead(): Promise<Head> {
    let filled = 0
    while (true) {
      const got = await socket.receive(head.subarray(filled))
      if (got === 0) throw new Error(`connection closed after ${filled} bytes of an answer's head`)
      filled += got
      const end = head.subarray(0, filled).indexOf('\r\n\r\n')
      if (end >= 0) return { text: head.toString('latin1', 0, end), surplus: head.subarray(end + 4, filled) }
      if (filled === maxHeadBytes) throw new Error(`no end of the head in ${maxHeadBytes} bytes`)
    }
  }

  async function readAnswer(expectedStatus: number): Promise<Head> {
    const { text, surplus } = await readHead()
    const status = Number(text.slice(9, 12))
    if (status !== expectedStatus) {
      throw new Error(
        `status ${status}, expected ${expectedStatus}: ${surplus.toString('latin1', 0, 160).trim()}`,
      )
    }
    if (/^close$/i.test(field(text, 'connection') ?? '')) closing = true
    return { text, surplus }
  }

  /** A server may end a connection with its answer (RFC 9112, 9.6); the next request then takes another. */
  function send(bytes: Uint8Array): Promise<number> {
    if (closing) {
      socket.close()
      socket = poller.connect(port)
      closing = false
    }
    return socket.send(bytes)
  }

  async function answer(expectedStatus: number): Promise<Answer> {
    const { text, surplus } = await readAnswer(expectedStatus)
    const location = pathOf(field(text, 'location') ?? '')
    if (/^chunked$/i.test(field(text, 'transfer-encoding') ?? '')) {
      await skipEmptyChunked(surplus)
      return { bodyBytes: 0, location }
    }
    const length = lengthOf(text)
    const bodyBytes = surplus.length + (await socket.drain(length - surplus.length))
    if (bodyBytes !== length) throw new Error(`body of ${bodyBytes} bytes, ${length} were announced`)
    return { bodyBytes, location }
  }

  /** Answers to pushes may say "chunked" for a body of nothing; any other chunked body is none that we ask for. */
  async function skipEmptyChunked(surplus: Buffer): Promise<void> {
    const end = Buffer.alloc(5)
    surplus.copy(end)
    for (let filled = surplus.length; filled < 5; ) {
      const got = await socket.receive(end.subarray(filled))
      if (got === 0) break
      filled += got
    }
    if (surplus.length > 5 || end.toString('latin1') !== '0\r\n\r\n')
      throw new Error('chunked body, expected none')
  }

  async function answerToHead(expectedStatus: number): Promise<Answer> {
    const { text, surplus } = await readAnswer(expectedStatus)
    if (surplus.length > 0) throw new Error(`${surplus.length} bytes behind an answer that has no body`)
    return { bodyBytes: lengthOf(text), location: '' }
  }

  return { send, answer, answerToHead, close: () => socket.close() }
}

function lengthOf(head: string): number {
  return Number(field(head, 'content-length') ?? 0)
}

function field(head: string, name: string): string | undefined {
  return new RegExp(`^${name}:[ \t]*(.*?)[ \t]*$`, 'im').exec(head)?.[1]
}

function pathOf(location: string): string {
  return location.replace(/^https?:\/\/[^/]*/, '')
}
