import type { ByteRange } from '../oci/ranges.ts'
import type { OpenContent } from '../storage/object-store.ts'

/** What a handler returns, for respond.ts to send. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Buffer | ContentBody
  /** The length of a body that HEAD does not get. */
  readonly length?: number
}

/** A part of opened content; whoever sends it closes it. */
export interface ContentBody {
  readonly content: Exclude<OpenContent, { kind: 'bytes' }>
  readonly span: ByteRange
}

/** An answer that says all in its headers. */
export function empty(status: number, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers }
}

export function json(
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
  status = 200,
  mediaType = 'application/json',
): Answer {
  return {
    status,
    headers: { 'Content-Type': mediaType, ...headers },
    body: Buffer.from(JSON.stringify(body)),
  }
}

/** Where the rest of a listing is (RFC 8288), if there is a rest. */
export function linkNext(
  path: string,
  query: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return { Link: `<${path}?${new URLSearchParams(given)}>; rel="next"` }
}
