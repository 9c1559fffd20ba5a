import { ClientError } from '../client/client-error.ts'
import { formatImage, type ImageReference, parseImageReference } from '../client/image-reference.ts'
import type { RepositoryClient } from '../client/registry-client.ts'
import { isDigest, type Reference } from '../oci/names.ts'
import type { Outcome } from './command.ts'
import { type ClientFlags, openRegistry, operand, untilDone } from './registries.ts'
import { UsageError } from './usage.ts'

/** Removes tags, or manifests with all their tags. Nothing goes unless every one is named as it should be. */
export async function remove(
  texts: readonly string[],
  flags: ClientFlags,
  print: (text: string) => void,
): Promise<Outcome> {
  const images = texts.map(text => {
    const image = operand(text, parseImageReference)
    return { image, reference: onlyReference(image, text) }
  })
  for (const { image, reference } of images) {
    const repository = openRegistry(image.host, flags).repository(image.name)
    try {
      await repository.manifests.remove(reference, untilDone)
    } catch (error) {
      throw (await explained(error, image, reference, repository)) ?? error
    }
    print(`removed ${formatImage(image, reference)}`)
  }
  return 'done'
}

/** What goes is for good, so nothing is guessed: neither a tag that was not written nor which of two was meant. */
function onlyReference({ tag, digest }: ImageReference, text: string): Reference {
  if (tag !== undefined && digest !== undefined)
    throw new UsageError(`${text} names a tag and a digest: give the one that is to go`)
  const reference = tag ?? digest
  if (reference === undefined) throw new UsageError(`${text} names no image: add :TAG or @DIGEST`)
  return reference
}

/** Some registries remove manifests by digest only. */
async function explained(
  error: unknown,
  image: ImageReference,
  reference: Reference,
  { manifests }: RepositoryClient,
): Promise<ClientError | undefined> {
  const isUnsupported = error instanceof ClientError && [400, 405].includes(error.status ?? 0)
  if (!isUnsupported || isDigest(reference)) return undefined
  const head = await manifests.head(reference, untilDone)
  if (!head) return undefined
  return new ClientError(
    `${error.message}: to remove the image and all its tags, name ${formatImage(image, head.digest)}`,
    {
      cause: error,
    },
  )
}
