/** A registry, as its clients see it: the distribution API in our words. */
import type { Io } from '../oci/io.ts'
import type { RepositoryName, Tag } from '../oci/names.ts'
import { type BlobClient, blobClient } from './blobs.ts'
import type { CredentialSource } from './credentials.ts'
import type { RepositoryReference } from './image-reference.ts'
import { repositoryPages, tagPages } from './listings.ts'
import { type ManifestClient, manifestClient } from './manifests.ts'
import { registryUrl } from './origin.ts'
import { discard } from './reading.ts'
import { session } from './session.ts'

export interface RegistryClient {
  readonly url: URL
  /** Throws ClientError when there is no registry, or it does not let us in. */
  ping(io: Io): Promise<void>
  /** Names of repositories, a page at a time. Throws ClientError. */
  repositories(io: Io): AsyncGenerator<readonly RepositoryName[]>
  repository(name: RepositoryName): RepositoryClient
}

export interface RepositoryClient extends RepositoryReference {
  readonly manifests: ManifestClient
  readonly blobs: BlobClient
  /** A page at a time. Throws ClientError. */
  tags(io: Io): AsyncGenerator<readonly Tag[]>
}

export interface ClientOptions {
  readonly credentials: CredentialSource
  /** No TLS. This machine is asked without it anyway, unless `tls` is set. */
  readonly plainHttp?: boolean
  readonly tls?: boolean
}

/** `host` is as in an image reference. Nothing is asked before something is wanted. */
export function registryClient(host: string, { credentials, ...transport }: ClientOptions): RegistryClient {
  const registry = session(registryUrl(host, transport), host, credentials)
  return {
    url: registry.url,
    async ping(io) {
      await discard(
        await registry.ask({ what: host, to: '/v2/', method: 'GET', scopes: [], expected: [200] }, io),
      )
    },
    repositories: io => repositoryPages(registry, io),
    repository: name => ({
      host,
      name,
      manifests: manifestClient(registry, host, name),
      blobs: blobClient(registry, host, name),
      tags: io => tagPages(registry, name, io),
    }),
  }
}
