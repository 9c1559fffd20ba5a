import { ClientError } from '../client/client-error.ts'
import { copyImage } from '../client/copy.ts'
import {
  formatImage,
  type ImageReference,
  parseImageReference,
  referenceOf,
} from '../client/image-reference.ts'
import { type Platform, parsePlatform } from '../client/platform.ts'
import { imageFor } from '../client/platform-image.ts'
import type { Digest, Reference } from '../oci/names.ts'
import type { Outcome } from './command.ts'
import { openProgress } from './progress.ts'
import { openRegistry, operand, untilDone } from './registries.ts'
import { UsageError } from './usage.ts'

interface CopyFlags {
  readonly 'plain-http'?: boolean | undefined
  readonly 'src-plain-http'?: boolean | undefined
  readonly 'dst-plain-http'?: boolean | undefined
  readonly tls?: boolean | undefined
  readonly 'src-tls'?: boolean | undefined
  readonly 'dst-tls'?: boolean | undefined
  readonly platform?: string | undefined
}

/** Copies an image, with all that it needs, and prints its digest. */
export async function copy(
  src: string,
  dst: string,
  flags: CopyFlags,
  print: (text: string) => void,
): Promise<Outcome> {
  const [source, target] = [operand(src, parseImageReference), operand(dst, parseImageReference)]
  const platform = flags.platform === undefined ? undefined : platformOf(flags.platform)
  const canMount = source.host === target.host
  const of = (...sides: readonly ('src' | 'dst')[]) => ({
    'plain-http': flags['plain-http'] ?? sides.some(side => flags[`${side}-plain-http`]),
    tls: flags.tls ?? sides.some(side => flags[`${side}-tls`]),
  })
  // One client for both sides logs in once.
  const from = openRegistry(source.host, canMount ? of('src', 'dst') : of('src'))
  const to = canMount ? from : openRegistry(target.host, of('dst'))
  const repository = from.repository(source.name)
  const image = await imageFor(repository, referenceOf(source), platform, untilDone)
  const as = nameOf(source, target, image.digest)
  const progress = openProgress(process.stderr)
  try {
    const request = { from: repository, to: to.repository(target.name), canMount, image, as }
    await copyImage({ ...request, observe: progress.observe }, untilDone)
  } finally {
    progress.close()
  }
  print(image.digest)
  return 'done'
}

function platformOf(text: string): Platform {
  const platform = parsePlatform(text)
  if (platform) return platform
  throw new UsageError(`--platform: expected OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64, found ${text}`)
}

/** The destination's tag, or else the source's. What neither gives a tag goes by its digest, or was called `latest`. */
function nameOf(source: ImageReference, target: ImageReference, digest: Digest): Reference {
  if (target.digest !== undefined && target.digest !== digest)
    throw new ClientError(`${formatImage(target, target.digest)} is to hold another image: SRC is ${digest}`)
  if (target.tag !== undefined) return target.tag
  if (target.digest !== undefined) return digest
  return source.tag ?? (source.digest === undefined ? referenceOf(source) : digest)
}
