import { type ImageReference, parseImageReference, referenceOf } from '../client/image-reference.ts'
import { parseTag, type Tag } from '../oci/names.ts'
import type { Outcome } from './command.ts'
import { type ClientFlags, openRegistry, operand, untilDone } from './registries.ts'
import { UsageError } from './usage.ts'

/** Puts the same manifest under more tags. */
export async function tag(
  from: string,
  tags: readonly string[],
  flags: ClientFlags,
  print: (text: string) => void,
): Promise<Outcome> {
  const image = operand(from, parseImageReference)
  const wanted = tags.map(text => newTag(text, image))
  const { manifests } = openRegistry(image.host, flags).repository(image.name)
  const manifest = await manifests.get(referenceOf(image), untilDone)
  for (const each of wanted) await manifests.put(each, manifest, untilDone)
  print(manifest.digest)
  return 'done'
}

/** A tag, or a whole reference that has one, as other programs want it. */
function newTag(text: string, { host, name }: ImageReference): Tag {
  if (!text.includes('/')) return operand(text, parseTag)
  const target = operand(text, parseImageReference)
  if (target.host !== host || target.name !== name)
    throw new UsageError(`${text} is not in ${host}/${name}: to take an image there, use slipway copy`)
  if (target.tag === undefined || target.digest !== undefined)
    throw new UsageError(`${text} is no tag: expected ${host}/${name}:TAG`)
  return target.tag
}
