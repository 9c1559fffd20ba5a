/** The value of an Authorization header (RFC 9110, 11.6.2), read strictly: what two readers could take differently is nothing. */
export type Credentials =
  /** No header, or the empty name and password that some clients send instead. */
  | { readonly kind: 'none' }
  /** The secret is a password, an API token or a workload's token. */
  | { readonly kind: 'basic'; readonly username: string; readonly secret: string }
  | { readonly kind: 'bearer'; readonly token: string }
  /** Something else. It proves nothing, and whoever sent it did not mean to be anonymous. */
  | { readonly kind: 'unreadable' }

/** Room for the longest token. */
const maxLength = 12 * 1024
const form = /^([A-Za-z]+) +(\S+)$/
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/
const unreadable: Credentials = { kind: 'unreadable' }

export function parseAuthorization(value: string | undefined): Credentials {
  if (value === undefined) return { kind: 'none' }
  const [, scheme = '', rest = ''] = (value.length <= maxLength && form.exec(value)) || []
  switch (scheme.toLowerCase()) {
    case 'bearer':
      return { kind: 'bearer', token: rest }
    case 'basic':
      return parseBasic(rest)
    default:
      return unreadable
  }
}

/** RFC 7617: the name ends at the first colon, and neither part has control characters. */
function parseBasic(encoded: string): Credentials {
  const text = base64.test(encoded) ? decode(encoded) : undefined
  const colon = text?.indexOf(':') ?? -1
  if (text === undefined || colon < 0 || /\p{Cc}/u.test(text)) return unreadable
  if (text === ':') return { kind: 'none' }
  return { kind: 'basic', username: text.slice(0, colon), secret: text.slice(colon + 1) }
}

function decode(encoded: string): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(encoded, 'base64'))
  } catch {
    return undefined
  }
}
