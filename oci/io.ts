/** The last argument of everything that waits. Not optional, so that no one forgets to pass cancellation on. */
export interface Io {
  readonly signal: AbortSignal
}
