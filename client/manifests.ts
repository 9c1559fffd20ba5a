/** Manifests of one repository, as the bytes that were pushed. */
import { digestOfBytes } from '../oci/digest.ts'
import type { Io } from '../oci/io.ts'
import { parseManifest } from '../oci/manifest.ts'
import { manifestTypes } from '../oci/media-types.ts'
import {
  algorithmOf,
  type Digest,
  isDigest,
  parseDigest,
  type Reference,
  type RepositoryName,
} from '../oci/names.ts'
import { ClientError, isMissing } from './client-error.ts'
import { type Answer, bytesBody } from './exchange.ts'
import { formatImage } from './image-reference.ts'
import { discard, otherBytes, readAll } from './reading.ts'
import { repositoryScope } from './scopes.ts'
import type { Session } from './session.ts'

export interface ManifestHead {
  readonly digest: Digest
  readonly mediaType: string
  readonly size: number
}

export interface ManifestContent extends ManifestHead {
  readonly bytes: Buffer
}

export interface ManifestClient {
  /** The manifest, parsed and known to be that of its digest. Throws ClientError. */
  get(reference: Reference, io: Io): Promise<ManifestContent>
  /** What `get` would have, without the bytes, as the registry says; undefined when it is not there. */
  head(reference: Reference, io: Io): Promise<ManifestHead | undefined>
  /** Everything it names must be there. Throws ClientError. */
  put(reference: Reference, manifest: ManifestContent, io: Io): Promise<void>
  /** Of a digest with tags, the tags go too. Throws ClientError, with status 404 for one that is not there. */
  remove(reference: Reference, io: Io): Promise<void>
}

/** As much as registries must take (distribution specification, Pushing Manifests). */
const maxManifestBytes = 4 * 2 ** 20

const accept = { Accept: manifestTypes.join(', ') }

export function manifestClient(session: Session, host: string, name: RepositoryName): ManifestClient {
  const about = (reference: Reference) => ({
    to: `/v2/${name}/manifests/${reference}`,
    what: formatImage({ host, name }, reference),
  })
  const pull = [repositoryScope(name, 'pull')]
  const push = [repositoryScope(name, 'pull', 'push')]
  const remove = [repositoryScope(name, 'delete', 'pull')]

  async function get(reference: Reference, io: Io): Promise<ManifestContent> {
    const question = { ...about(reference), method: 'GET', headers: accept, scopes: pull } as const
    const answer = await session.ask({ ...question, expected: [200] }, io)
    const bytes = await readAll(answer, maxManifestBytes)
    const digest = isDigest(reference) ? reference : (digestIn(answer) ?? digestOfBytes(bytes))
    if (digestOfBytes(bytes, algorithmOf(digest)) !== digest) throw otherBytes(answer.url, digest)
    return { digest, mediaType: mediaTypeOf(answer, bytes), size: bytes.length, bytes }
  }

  return {
    get,
    async head(reference, io) {
      try {
        const question = { ...about(reference), method: 'HEAD', headers: accept, scopes: pull } as const
        const answer = await session.ask({ ...question, expected: [200] }, io)
        await discard(answer)
        const { 'content-type': mediaType, 'content-length': size } = answer.headers
        const digest = isDigest(reference) ? reference : digestIn(answer)
        // Registries may leave all of it out (distribution specification, Checking if content exists).
        if (digest && mediaType && size) return { digest, mediaType, size: Number(size) }
        return await get(reference, io)
      } catch (error) {
        if (isMissing(error)) return undefined
        throw error
      }
    },
    async put(reference, { bytes, mediaType, digest }, io) {
      const answer = await session.ask(
        {
          ...about(reference),
          method: 'PUT',
          headers: { 'Content-Type': mediaType },
          body: bytesBody(bytes),
          scopes: push,
          expected: [201],
        },
        io,
      )
      await discard(answer)
      const stored = digestIn(answer)
      if (stored !== undefined && algorithmOf(stored) === algorithmOf(digest) && stored !== digest)
        throw new ClientError(`${about(reference).what}: the registry stored ${stored} instead of ${digest}`)
    },
    async remove(reference, io) {
      const question = { ...about(reference), method: 'DELETE', scopes: remove } as const
      await discard(await session.ask({ ...question, expected: [200, 202, 204] }, io))
    },
  }
}

function digestIn({ headers, url }: Answer): Digest | undefined {
  const text = headers['docker-content-digest']
  if (typeof text !== 'string') return undefined
  try {
    return parseDigest(text)
  } catch (cause) {
    throw new ClientError(`${url.host}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}

/** Not as the registry says alone: the bytes must agree, so that everybody reads the same manifest in them. */
function mediaTypeOf({ headers, url }: Answer, bytes: Buffer): string {
  try {
    return parseManifest(headers['content-type'], bytes).mediaType
  } catch (cause) {
    throw new ClientError(`${url.host}${url.pathname}: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    })
  }
}
