import type { Io } from '../oci/io.ts'
import type { Descriptor } from '../oci/manifest.ts'
import { ClientError } from './client-error.ts'
import type { RepositoryClient } from './registry-client.ts'

/** Far more than any configuration has; it is parsed as a whole. */
const maxConfigBytes = 4 * 2 ** 20

/** An image's configuration, whatever it holds; undefined where it is not JSON, as artifacts may have it. */
export async function readConfig(
  { blobs }: RepositoryClient,
  config: Descriptor | undefined,
  io: Io,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  if (!config || !/[+/]json$/.test(config.mediaType)) return undefined
  const bytes = await blobs.read(config, maxConfigBytes, io)
  try {
    const value: unknown = JSON.parse(bytes.toString())
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch (cause) {
    throw new ClientError(`the configuration ${config.digest} is not JSON`, { cause })
  }
}
