/** What can go wrong between a client and an S3 store, and to which requests it happens. */
import type { S3WireRequest } from './s3-wire.ts'

export type S3Fault =
  /** An error of the store's, and nothing done. */
  | { readonly kind: 'error'; readonly status: number; readonly code: string; readonly message: string }
  /** The connection is reset before the store hears of the request. */
  | { readonly kind: 'resetAtOnce' }
  /** Half of the body arrives; then the client's connection is reset, and the store's is reset or properly ended. */
  | { readonly kind: 'cutRequest'; readonly storeSees: 'reset' | 'end' }
  /** No answer, ever, and nothing done. */
  | { readonly kind: 'hang' }
  /** The store does it and answers, and the connection is reset in place of the answer. */
  | { readonly kind: 'loseAnswer' }
  /** The store does it and answers, and the answer goes on so much later. */
  | { readonly kind: 'lateAnswer'; readonly ms: number }
  /** No answer; the store hears of it when it has answered the same request, sent again, and before that answer goes on. */
  | { readonly kind: 'lateEffect' }
  /** An answer with its whole length in the head, and half of its body. */
  | { readonly kind: 'cutAnswer' }

export const internalError: S3Fault = {
  kind: 'error',
  status: 500,
  code: 'InternalError',
  message: 'We encountered an internal error. Please try again.',
}

export const slowDown: S3Fault = {
  kind: 'error',
  status: 503,
  code: 'SlowDown',
  message: 'Please reduce your request rate.',
}

export const accessDenied: S3Fault = {
  kind: 'error',
  status: 403,
  code: 'AccessDenied',
  message: 'Access Denied.',
}

export const errorXml = (code: string, message: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message>` +
  '<RequestId>0000000000000000</RequestId></Error>'

export interface Injection {
  /** Which requests it may happen to: all, unless said. */
  readonly when?: (request: S3WireRequest) => boolean
  /** How many of them it happens to, then no more: one, unless said. */
  readonly times?: number
}

export interface Injected {
  /** How many requests it has happened to. */
  readonly happened: number
  stop(): void
}

/** Faults in the order in which they were injected; the first that fits a request happens to it. */
export function faultQueue() {
  let waiting: { readonly fault: S3Fault; readonly fits: (request: S3WireRequest) => boolean }[] = []
  return {
    inject(fault: S3Fault, { when = () => true, times = 1 }: Injection = {}): Injected {
      let happened = 0
      const entry = {
        fault,
        fits(request: S3WireRequest) {
          if (happened >= times || !when(request)) return false
          happened += 1
          return true
        },
      }
      waiting.push(entry)
      return {
        get happened() {
          return happened
        },
        stop() {
          waiting = waiting.filter(each => each !== entry)
        },
      }
    },
    next: (request: S3WireRequest): S3Fault | undefined => waiting.find(({ fits }) => fits(request))?.fault,
  }
}
