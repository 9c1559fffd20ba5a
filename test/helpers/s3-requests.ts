/** Single signed requests to an S3 store, and its answers as they are: nothing is tried again and nothing is added. */
import { type HttpAnswer, send } from './http.ts'
import { presigned, type S3Credentials, signed } from './s3-signature.ts'

export interface S3Place extends S3Credentials {
  readonly endpoint: URL
}

export interface S3Request {
  /** What follows the bucket, percent-encoded where a key needs it; nothing for the bucket itself. */
  readonly key?: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  /** When it says it was signed; now, unless it lies. */
  readonly at?: Date
}

export interface S3Answer extends Pick<HttpAnswer, 'status' | 'headers' | 'text'> {
  /** The code of an error. */
  readonly code: string | undefined
}

export type S3Requests = ReturnType<typeof s3Requests>

export function s3Requests(place: S3Place, bucket: string) {
  const url = ({ key = '', query = {} }: S3Request) =>
    new URL(`/${bucket}${key && '/'}${key}?${new URLSearchParams(query)}`, place.endpoint)
  const ask = (method: string) => {
    return async (request: S3Request): Promise<S3Answer> => {
      const target = url(request)
      const headers = signed(
        { method, url: target, headers: { ...request.headers, host: target.host } },
        place,
        request.at,
      )
      const { body } = request
      const answer = await send(target.origin, `${target.pathname}${target.search}`, {
        method,
        headers,
        ...(body !== undefined && { body }),
      })
      return { ...answer, code: element(answer.text, 'Code') }
    }
  }
  return {
    get: ask('GET'),
    head: ask('HEAD'),
    put: ask('PUT'),
    post: ask('POST'),
    remove: ask('DELETE'),
    /** Where the object can be had without credentials, for a minute. */
    presign: (request: S3Request) => {
      const target = url(request)
      return presigned({ method: 'GET', url: target, headers: { host: target.host } }, place)
    },
  }
}

/** What the first element of a name holds. */
export const element = (xml: string, name: string): string | undefined => elements(xml, name)[0]

/** What the elements of a name hold, in their order. */
export const elements = (xml: string, name: string): string[] =>
  [...xml.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))].map(([, text = '']) => text)
