/** Requests over connections that are kept, and answers as bytes. */
import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { buffer } from 'node:stream/consumers'

export interface HttpRequest {
  readonly method?: string
  readonly authorization?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The code of the first error, where the body has one. */
  readonly code: string | undefined
  readonly challenge: string | undefined
}

const agent = new Agent({ keepAlive: true, maxSockets: 128 })

export function send(address: string, path: string, options: HttpRequest = {}): Promise<HttpAnswer> {
  const { method = 'GET', authorization, headers, body } = options
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>()
  const sent = request(`${address}${path}`, {
    method,
    agent,
    headers: { ...headers, ...(authorization !== undefined && { Authorization: authorization }) },
  })
  sent.once('error', reject)
  sent.once('response', response => {
    buffer(response).then(bytes => {
      const text = bytes.toString()
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        text,
        code: /^{"errors":\[{"code":"(\w+)"/.exec(text)?.[1],
        challenge: response.headers['www-authenticate'],
      })
    }, reject)
  })
  sent.end(body)
  return promise
}
