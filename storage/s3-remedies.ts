/** Why a bucket cannot be asked, in words that say what to do. */
import { codeOf, RegistryError } from '../oci/errors.ts'
import type { S3Settings } from './s3-requests.ts'

type Remedy = (settings: S3Settings, said: Error) => string

const unknownKey: Remedy = () => 'does not know the access key: see storage.s3.access_key_id'
const wrongSecret: Remedy = () =>
  'takes the secret for a wrong one: see storage.s3.secret_access_key_file, or secret_access_key'
const wrongRegion: Remedy = ({ region }, said) => {
  const right = regionIn(said)
  if (right === undefined || right === region) return `is not in the region ${region}: see storage.s3.region`
  return `is in the region ${right}, not in ${region}: see storage.s3.region`
}
/** One name for two faults: stores that mean the region say which they expect. */
const malformed: Remedy = (settings, said) =>
  regionIn(said) === undefined && !/\bregion\b.*\bwrong\b/i.test(said.message)
    ? 'takes the access key for a malformed one: see storage.s3.access_key_id'
    : wrongRegion(settings, said)
const denied: Remedy = () =>
  'is denied to this access key: allow it to list the bucket, and to get, put and delete its objects'

/** By the names that stores give to what is wrong. */
const remedies: Readonly<Record<string, Remedy>> = {
  NoSuchBucket: ({ endpoint }) =>
    `is not there${endpoint === undefined ? '' : `, at ${endpoint}`}: make it, or name another with --storage`,
  InvalidAccessKeyId: unknownKey,
  XAdminUserNotFound: unknownKey,
  SignatureDoesNotMatch: wrongSecret,
  AuthorizationHeaderMalformed: malformed,
  PermanentRedirect: wrongRegion,
  AccessDenied: denied,
  Forbidden: denied,
  RequestTimeTooSkewed: () => 'has a clock that differs from that of this machine: set this one by NTP',
  CredentialsProviderError: () =>
    'needs credentials, and there are none: set storage.s3.access_key_id and secret_access_key_file',
}

const unknownSigner = 'has a certificate that nobody whom this machine knows has signed'
const nameSigner =
  "name the file of the signer's certificate in the environment, as NODE_EXTRA_CA_CERTS, and start again"
const ownSigner = { is: unknownSigner, todo: nameSigner }
const wrongTime = {
  is: 'has a certificate that is not valid now',
  todo: 'renew it, or set the clock of this machine',
}
const unknownHost = { is: 'has a name that nobody knows', todo: 'see storage.s3.endpoint, and path_style' }

/** What may be wrong on the way there, by the codes of Node and OpenSSL. */
const ways: Readonly<Record<string, { readonly is: string; readonly todo: string }>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: ownSigner,
  SELF_SIGNED_CERT_IN_CHAIN: ownSigner,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ownSigner,
  UNABLE_TO_GET_ISSUER_CERT: ownSigner,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ownSigner,
  ERR_TLS_CERT_ALTNAME_INVALID: {
    is: 'has a certificate for another host',
    todo: 'call the store in storage.s3.endpoint as its certificate does',
  },
  CERT_HAS_EXPIRED: wrongTime,
  CERT_NOT_YET_VALID: wrongTime,
  ENOTFOUND: unknownHost,
  EAI_AGAIN: unknownHost,
  ECONNRESET: {
    is: 'ends connections without an answer',
    todo: 'see what its log says, and whether storage.s3.endpoint is to begin with https://',
  },
}

function wayFault(reason: string, said: Error): string | undefined {
  const known = ways[reason]
  if (known) return `${known.is} (${reason}): ${known.todo}`
  if (/wrong version number|packet length too long/.test(said.message))
    return `does not speak TLS (${reason}): write http:// in storage.s3.endpoint, or name its port for TLS`
  if (reason === 'EPROTO' || reason.startsWith('ERR_SSL_'))
    return `and this machine do not agree on TLS (${reason}): see what the log of the store says`
  // The deadline of who asked, or the SDK's for an answer; it says so where there was no connection yet.
  if (reason === 'TimeoutError' && !/establish/.test(said.message))
    return 'takes connections and does not answer: see what keeps it busy, or start it again'
  const isWay = /^(?:E[A-Z_]+|ERR_[A-Z_]+|TimeoutError|[A-Z_]+_CERT[A-Z_]*)$/.test(reason)
  return isWay ? `does not answer (${reason}): start it, or see storage.s3.endpoint` : undefined
}

/** Whoever answers so is no S3 store; those with TLS refuse in words of their own who comes without. */
function strangerFault(said: Error, endpoint: string | undefined): string | undefined {
  const isForeign = /XML parse error/.test(said.message) || said.name === 'Unknown'
  if (!isForeign) return undefined
  const hint = endpoint?.startsWith('http:') ? ', which may have to begin with https://' : ''
  return `does not answer as an S3 store does: see storage.s3.endpoint${hint}`
}

/** What the store or the way to it said, whoever has wrapped it. */
const saidBy = (error: unknown): Error | undefined => {
  const said = error instanceof RegistryError ? error.cause : error
  return said instanceof Error ? said : undefined
}

function reasonOf(said: Error): string {
  return said.name in remedies ? said.name : (codeOf(said) ?? (said.name === 'Error' ? '' : said.name))
}

/** Where the bucket is, if the store says so. */
function regionIn(said: Error): string | undefined {
  if ('Region' in said && typeof said.Region === 'string') return said.Region
  const headers =
    '$response' in said ? (said.$response as { headers?: object } | undefined)?.headers : undefined
  if (headers && 'x-amz-bucket-region' in headers) return String(headers['x-amz-bucket-region'])
  return /expecting ["']([\w-]+)["']/.exec(said.message)?.[1]
}

/** One line about the bucket of these settings, which is called `name` there. */
export function whyUnusable(error: unknown, name: string, settings: S3Settings): string {
  const said = saidBy(error)
  const reason = said ? reasonOf(said) : ''
  const remedy = remedies[reason]
  if (said && remedy) return `bucket ${name} ${remedy(settings, said)}`
  const way = said && (wayFault(reason, said) ?? strangerFault(said, settings.endpoint))
  if (way !== undefined) {
    const store = settings.endpoint ?? `AWS in ${settings.region}`
    return `bucket ${name} cannot be reached, as ${store} ${way}`
  }
  const message = error instanceof Error ? error.message : String(error)
  return `bucket ${name} cannot be used: ${message}: see storage.s3`
}
