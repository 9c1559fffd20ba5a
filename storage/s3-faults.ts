/** What goes wrong with requests to S3, in S3's words and in the registry's. */
import { codeOf, RegistryError } from '../oci/errors.ts'
import type { Io } from '../oci/io.ts'

/** The SDK's errors that come from an answer of the store, and those of requests that it sent several times. */
interface Answered extends Error {
  readonly $metadata: { readonly httpStatusCode?: number }
}

const isAnswered = (error: unknown): error is Answered =>
  error instanceof Error &&
  '$metadata' in error &&
  typeof error.$metadata === 'object' &&
  error.$metadata !== null

/** `missing`: what the request is about is not there. `refused`: its condition does not hold. `unsupported`: never will. */
type Kind = 'missing' | 'refused' | 'conflict' | 'full' | 'unsupported' | 'other'

const kinds: Readonly<Record<string, Kind>> = {
  NoSuchKey: 'missing',
  NotFound: 'missing',
  NoSuchUpload: 'missing',
  // Of a multipart upload whose parts are others than those that were named.
  InvalidPart: 'missing',
  PreconditionFailed: 'refused',
  ConditionalRequestConflict: 'conflict',
  OperationAborted: 'conflict',
  // Of stores that are folders: a folder is being removed because its last key was.
  ExistingObjectIsDirectory: 'conflict',
  QuotaExceeded: 'full',
  XMinioStorageFull: 'full',
  InsufficientStorage: 'full',
  NotImplemented: 'unsupported',
}

const nameOf = (error: unknown) => (error instanceof Error ? error.name : '')
export const kindOf = (error: unknown): Kind =>
  kinds[nameOf(error)] ?? (isAnswered(error) && error.$metadata.httpStatusCode === 412 ? 'refused' : 'other')

/** Of an attempt: unless the store has refused it, or wanted to be left alone, it may have done all of it. */
export function mayBeDone(error: unknown): boolean {
  const { httpStatusCode = 0 } = isAnswered(error) ? error.$metadata : {}
  return httpStatusCode !== 503 && (httpStatusCode < 400 || httpStatusCode >= 500)
}

export function unlessMissing(error: unknown): undefined {
  if (kindOf(error) !== 'missing') throw error
}

/** The body of an answer broke off: the SDK, which had the head, tries no more. */
export class CutOff extends Error {
  readonly code = 'ECONNRESET'
}

export const comeAgain = { 'Retry-After': '10' }

export const goesRound = () =>
  new RegistryError('STORAGE_UNAVAILABLE', {
    message: 'storage says that a list goes on, but not from where',
    headers: comeAgain,
  })

/** Runs a task, and says in the registry's words why the store could not do it. */
export async function answered<T>({ signal }: Io, task: () => Promise<T>): Promise<T> {
  try {
    return await task()
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof RegistryError) throw error
    const kind = kindOf(error)
    if (kind === 'full') throw new RegistryError('STORAGE_FULL', { cause: error })
    if (kind === 'unsupported') {
      const message = `storage cannot do this (${nameOf(error)})`
      throw Object.assign(new Error(message, { cause: error }), { code: 'ENOTSUP' })
    }
    const reason =
      isAnswered(error) && error.$metadata.httpStatusCode !== undefined ? error.name : codeOf(error)
    const isTheirs =
      reason !== undefined || nameOf(error) === 'TimeoutError' || nameOf(error) === 'CredentialsProviderError'
    if (!isTheirs) throw error
    throw new RegistryError('STORAGE_UNAVAILABLE', {
      message: `storage does not answer as it should now (${reason ?? nameOf(error)})`,
      cause: error,
      headers: comeAgain,
    })
  }
}
