/** A registry refused, failed, or cannot be believed. The message is one line. */
export class ClientError extends Error {
  override readonly name = 'ClientError'
  /** Of the registry's answer; undefined when it gave none, or what it gave was wrong. */
  readonly status: number | undefined

  constructor(message: string, options: ErrorOptions & { readonly status?: number } = {}) {
    super(oneLine(message), options)
    this.status = options.status
  }
}

/** Whether the registry said that there is no such thing. */
export function isMissing(error: unknown): error is ClientError {
  return error instanceof ClientError && error.status === 404
}

/** Somebody else's text for a terminal: without what could move its cursor or break a line. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim()
}
