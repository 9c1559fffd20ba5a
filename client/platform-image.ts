import type { Io } from '../oci/io.ts'
import type { Reference } from '../oci/names.ts'
import { ClientError } from './client-error.ts'
import { type Contents, contentsOf } from './contents.ts'
import { readConfig } from './image-config.ts'
import { formatImage } from './image-reference.ts'
import type { ManifestContent } from './manifests.ts'
import { formatPlatform, type Platform, platformIn, suits } from './platform.ts'
import type { RepositoryClient } from './registry-client.ts'

/** What a reference leads to; with a platform, the image of an index that runs on it. Throws ClientError. */
export async function imageFor(
  repository: RepositoryClient,
  reference: Reference,
  platform: Platform | undefined,
  io: Io,
): Promise<ManifestContent> {
  const manifest = await repository.manifests.get(reference, io)
  if (platform === undefined) return manifest
  const contents = contentsOf(manifest)
  const found = contents.manifests.find(child => suits(child.platform, platform))
  if (found) return repository.manifests.get(found.digest, io)
  const platforms = await platformsOf(repository, contents, io)
  if (contents.kind === 'image' && platforms.some(each => suits(each, platform))) return manifest
  const there = platforms.map(formatPlatform).join(', ') || 'none'
  throw new ClientError(
    `${formatImage(repository, reference)} is not for ${formatPlatform(platform)}: there are ${there}`,
  )
}

async function platformsOf(repository: RepositoryClient, { kind, config, manifests }: Contents, io: Io) {
  if (kind === 'index') return manifests.flatMap(({ platform }) => platform ?? [])
  const platform = platformIn(await readConfig(repository, config, io))
  return platform ? [platform] : []
}
