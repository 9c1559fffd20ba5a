/** Requests in raw bytes. */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { converse, type RawAnswer } from './converse.ts'

export interface RawRequest {
  readonly method?: string
  readonly target: string
  /** Lines without their ends, Host apart. */
  readonly headers?: readonly string[]
  /** Content-Length is added. */
  readonly body?: string | Buffer
}

/** The bytes of a request behind which the connection ends. */
export function raw({ method = 'GET', target, headers = [], body }: RawRequest): Buffer {
  const bytes = Buffer.from(body ?? '')
  const length = body === undefined ? [] : [`Content-Length: ${bytes.length}`]
  const lines = [`${method} ${target} HTTP/1.1`, 'Host: test', 'Connection: close', ...length, ...headers]
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), bytes])
}

/** The one answer to a request. */
export async function ask(port: number, request: RawRequest): Promise<RawAnswer> {
  const [answer, ...more] = await converse(port, raw(request))
  if (!answer || more.length > 0) throw new Error(`${more.length + (answer ? 1 : 0)} answers instead of one`)
  return answer
}

/** The code of an answer that is an error. */
export const codeOf = ({ body }: RawAnswer): unknown => {
  const { errors } = JSON.parse(body.toString()) as { errors?: readonly { readonly code: string }[] }
  return errors?.[0]?.code
}

/** A connection for a request that is sent bit by bit. */
export async function open(port: number, first: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(first, 'latin1')
  return socket
}

/** Reads on and throws away until the connection is over, however it ends. */
export function closed(socket: Socket): Promise<void> {
  return new Promise(resolve => {
    if (socket.closed) resolve()
    else socket.resume().once('close', () => resolve())
  })
}
