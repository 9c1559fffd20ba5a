/** Why a bucket cannot be asked, in words that say what to do. */
import { codeOf, RegistryError } from '../oci/errors.ts'
import type { S3Settings } from './s3-requests.ts'

type Remedy = (settings: S3Settings) => string

const unknownKey: Remedy = () => 'does not know the access key: see storage.s3.access_key_id'
const wrongSecret: Remedy = () =>
  'takes the secret for a wrong one: see storage.s3.secret_access_key_file, or secret_access_key'
const wrongRegion: Remedy = ({ region }) => `is not in the region ${region}: see storage.s3.region`
const denied: Remedy = () =>
  'is denied to this access key: allow it to list the bucket, and to get, put and delete its objects'

/** By the names that stores give to what is wrong. */
const remedies: Readonly<Record<string, Remedy>> = {
  NoSuchBucket: ({ endpoint }) =>
    `is not there${endpoint === undefined ? '' : `, at ${endpoint}`}: make it, or name another with --storage`,
  InvalidAccessKeyId: unknownKey,
  XAdminUserNotFound: unknownKey,
  SignatureDoesNotMatch: wrongSecret,
  AuthorizationHeaderMalformed: wrongRegion,
  PermanentRedirect: wrongRegion,
  AccessDenied: denied,
  Forbidden: denied,
  RequestTimeTooSkewed: () => 'has a clock that differs from that of this machine: set this one by NTP',
  CredentialsProviderError: () =>
    'needs credentials, and there are none: set storage.s3.access_key_id and secret_access_key_file',
}

/** What a store or the way to it says in the error, whoever has wrapped it. */
function reasonOf(error: unknown): string | undefined {
  const said = error instanceof RegistryError ? error.cause : error
  if (!(said instanceof Error)) return undefined
  return said.name in remedies ? said.name : (codeOf(said) ?? (said.name === 'Error' ? undefined : said.name))
}

/** One line about the bucket of these settings, which is called `name` there. */
export function whyUnusable(error: unknown, name: string, settings: S3Settings): string {
  const reason = reasonOf(error)
  const remedy = remedies[reason ?? '']
  if (remedy) return `bucket ${name} ${remedy(settings)}`
  const isWay = /^(?:E[A-Z_]+|ERR_[A-Z_]+|TimeoutError|[A-Z_]+_CERT[A-Z_]*)$/.test(reason ?? '')
  if (isWay) {
    const store = settings.endpoint ?? `AWS in ${settings.region}`
    return `bucket ${name} cannot be reached, as ${store} does not answer (${reason}): start it, or see storage.s3.endpoint`
  }
  const said = error instanceof Error ? error.message : String(error)
  return `bucket ${name} cannot be used: ${said}: see storage.s3`
}
