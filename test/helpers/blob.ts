import type { Digest } from '../../oci/names.ts'
import { digest, randomBytes } from './images.ts'
import type { Repository } from './push.ts'

export interface TestBlob {
  readonly bytes: Buffer
  readonly digest: Digest
}

/** Bytes that do not compress, the same for the same seed. */
export function content(seed: string, size: number): TestBlob {
  const bytes = randomBytes(seed, size)
  return { bytes, digest: digest(bytes) }
}

/** The digest of what a registry sends for a blob, or the status where it sends none. */
export async function fetched(
  { address, name }: Repository,
  { digest: of }: TestBlob,
): Promise<Digest | number> {
  const answer = await fetch(new URL(`/v2/${name}/blobs/${of}`, address))
  const bytes = Buffer.from(await answer.arrayBuffer())
  return answer.ok ? digest(bytes) : answer.status
}
