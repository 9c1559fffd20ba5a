/**
 * Everything that can go wrong in the registry's own words. A fault decides its status and the code clients see
 * here and nowhere else. Codes are the distribution specification's (Error Codes); where it has none for a fault,
 * the nearest. Above 499 the specification leaves the code open.
 */
const faults = {
  BLOB_UNKNOWN: [404, 'BLOB_UNKNOWN', 'blob unknown to registry'],
  BLOB_IN_USE: [405, 'UNSUPPORTED', 'blob is referenced by a manifest of this repository'],
  UPLOAD_UNKNOWN: [404, 'BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry'],
  UPLOAD_INVALID: [400, 'BLOB_UPLOAD_INVALID', 'blob upload invalid'],
  UPLOAD_OUT_OF_ORDER: [416, 'BLOB_UPLOAD_INVALID', 'chunk does not begin where the upload ends'],
  UPLOAD_BUSY: [409, 'BLOB_UPLOAD_INVALID', 'another request is writing to this upload'],
  RANGE_UNSATISFIABLE: [416, 'BLOB_UNKNOWN', 'requested range is outside the blob'],
  DIGEST_INVALID: [400, 'DIGEST_INVALID', 'provided digest did not match uploaded content'],
  SIZE_INVALID: [400, 'SIZE_INVALID', 'provided length did not match content length'],
  MANIFEST_UNKNOWN: [404, 'MANIFEST_UNKNOWN', 'manifest unknown to registry'],
  MANIFEST_INVALID: [400, 'MANIFEST_INVALID', 'manifest invalid'],
  MANIFEST_BLOB_UNKNOWN: [
    400,
    'MANIFEST_BLOB_UNKNOWN',
    'manifest references a manifest or blob unknown to registry',
  ],
  MANIFEST_TOO_LARGE: [413, 'MANIFEST_INVALID', 'manifest is too large'],
  BODY_TOO_LARGE: [413, 'SIZE_INVALID', 'request body is too large'],
  TAG_INVALID: [400, 'MANIFEST_INVALID', 'invalid tag'],
  TAG_CHANGED: [412, 'DENIED', 'the tag is not in the state that the request demands'],
  NAME_INVALID: [400, 'NAME_INVALID', 'invalid repository name'],
  NAME_UNKNOWN: [404, 'NAME_UNKNOWN', 'repository name not known to registry'],
  PATH_UNKNOWN: [404, 'NAME_INVALID', 'no such address'],
  REQUEST_INVALID: [400, 'UNSUPPORTED', 'request is malformed'],
  REQUEST_TIMEOUT: [408, 'BLOB_UPLOAD_INVALID', 'the request arrived too slowly'],
  METHOD_UNSUPPORTED: [405, 'UNSUPPORTED', 'the operation is unsupported'],
  PAGE_INVALID: [400, 'UNSUPPORTED', 'invalid number of results requested'],
  HEADERS_TOO_LARGE: [431, 'UNSUPPORTED', 'too many request headers'],
  UNAUTHORIZED: [401, 'UNAUTHORIZED', 'authentication required'],
  DENIED: [403, 'DENIED', 'requested access to the resource is denied'],
  TOO_MANY_REQUESTS: [429, 'TOOMANYREQUESTS', 'too many requests'],
  UNKNOWN: [500, 'UNKNOWN', 'unknown error'],
  STORAGE_UNAVAILABLE: [503, 'UNAVAILABLE', 'storage does not accept writes'],
  CONDITION_UNSUPPORTED: [
    501,
    'UNSUPPORTED',
    'the storage of this registry cannot compare and set, so no condition can be kept',
  ],
  BUSY: [503, 'UNAVAILABLE', 'too many passwords are being verified'],
  ISSUER_UNAVAILABLE: [503, 'UNAVAILABLE', 'the keys of the issuer of this token cannot be had now'],
  STORAGE_FULL: [507, 'UNAVAILABLE', 'storage is full'],
} as const satisfies Record<string, readonly [status: number, code: string, message: string]>

export type Fault = keyof typeof faults

export interface RegistryErrorOptions extends ErrorOptions {
  readonly message?: string
  /** Any JSON that helps a client to resolve the error; an array makes one entry of the answer for each element. */
  readonly detail?: unknown
  /** Headers of the answer, such as Retry-After. */
  readonly headers?: Readonly<Record<string, string>>
}

export class RegistryError extends Error {
  override readonly name = 'RegistryError'
  readonly fault: Fault
  readonly status: number
  readonly detail: unknown
  readonly headers: Readonly<Record<string, string>>

  constructor(fault: Fault, options: RegistryErrorOptions = {}) {
    super(options.message ?? faults[fault][2], options)
    this.fault = fault
    this.status = faults[fault][0]
    this.detail = options.detail
    this.headers = options.headers ?? {}
  }

  /** The body that the distribution specification prescribes (Error Codes). */
  toJSON(): { errors: { code: string; message: string; detail?: unknown }[] } {
    const code = faults[this.fault][1]
    const details = Array.isArray(this.detail) && this.detail.length > 0 ? this.detail : [this.detail]
    return { errors: details.map(detail => ({ code, message: this.message, detail })) }
  }
}

/** True for a RegistryError with this fault. */
export function isFault(error: unknown, fault: Fault): error is RegistryError {
  return error instanceof RegistryError && error.fault === fault
}

/** For `catch`: undefined instead of this fault; every other error is thrown again. */
export const unlessFault =
  (fault: Fault) =>
  (error: unknown): undefined => {
    if (!isFault(error, fault)) throw error
  }

/** The system's error code, such as ENOENT; undefined for anything that is not a system error. */
export function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}
