import { RegistryError } from '../oci/errors.ts'
import {
  type Digest,
  parseDigest,
  parseRepositoryName,
  parseTag,
  type Reference,
  type RepositoryName,
  type Tag,
} from '../oci/names.ts'

/** A repository and the registry that has it. */
export interface RepositoryReference {
  /** As the user writes it: `reg.acme.dev`, `127.0.0.1:5000`, `[::1]:5000`. */
  readonly host: string
  readonly name: RepositoryName
}

export interface ImageReference extends RepositoryReference {
  readonly tag: Tag | undefined
  readonly digest: Digest | undefined
}

const label = '[a-z0-9](?:[a-z0-9-]*[a-z0-9])?'
const hostPattern = new RegExp(`^(?:${label}(?:\\.${label})*|\\[[0-9a-f:.]+\\])(?::\\d{1,5})?$`)

export const dockerHub = 'docker.io'

/** `host[:port]`. Throws NAME_INVALID. */
export function parseHost(text: string): string {
  const host = text.toLowerCase()
  const isNamed = /[.:[]/.test(host) || host === 'localhost'
  if (isNamed && hostPattern.test(host) && URL.canParse(`https://${host}`))
    return host === 'index.docker.io' ? dockerHub : host
  throw new RegistryError('NAME_INVALID', {
    message: `${JSON.stringify(text)} is no registry: expected a host such as localhost:5000, reg.acme.dev or docker.io`,
  })
}

/** `host[:port]/name`. Throws NAME_INVALID. */
export function parseRepositoryReference(text: string): RepositoryReference {
  const slash = text.indexOf('/')
  if (slash < 0)
    throw new RegistryError('NAME_INVALID', {
      message: `${JSON.stringify(text)} is not complete: expected HOST/NAME, such as localhost:5000/team/app`,
    })
  const host = parseHost(text.slice(0, slash))
  const name = text.slice(slash + 1)
  // What Docker Hub calls official has a name of one word for users and of two for its API.
  const isOfficial = host === dockerHub && !name.includes('/')
  return { host, name: parseRepositoryName(isOfficial ? `library/${name}` : name) }
}

/** `host[:port]/name[:tag][@digest]`. Throws NAME_INVALID, TAG_INVALID or DIGEST_INVALID. */
export function parseImageReference(text: string): ImageReference {
  const at = text.indexOf('@')
  const digest = at < 0 ? undefined : parseDigest(text.slice(at + 1))
  const rest = at < 0 ? text : text.slice(0, at)
  const colon = rest.lastIndexOf(':')
  const isTagged = colon > rest.lastIndexOf('/') && rest.includes('/')
  const tag = isTagged ? parseTag(rest.slice(colon + 1)) : undefined
  return { ...parseRepositoryReference(isTagged ? rest.slice(0, colon) : rest), tag, digest }
}

/** What the registry is asked for: a digest says more than a tag, and nothing means `latest`. */
export function referenceOf({ tag, digest }: ImageReference): Reference {
  return digest ?? tag ?? parseTag('latest')
}

export function formatImage({ host, name }: RepositoryReference, reference: Reference): string {
  return `${host}/${name}${reference.includes(':') ? '@' : ':'}${reference}`
}
