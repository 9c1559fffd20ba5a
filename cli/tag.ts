import { parseImageReference, referenceOf } from '../client/image-reference.ts'
import { parseTag } from '../oci/names.ts'
import type { Outcome } from './command.ts'
import { type ClientFlags, openRegistry, operand, untilDone } from './registries.ts'

/** Puts the same manifest under more tags. */
export async function tag(
  from: string,
  tags: readonly string[],
  flags: ClientFlags,
  print: (text: string) => void,
): Promise<Outcome> {
  const image = operand(from, parseImageReference)
  const wanted = tags.map(text => operand(text, parseTag))
  const { manifests } = openRegistry(image.host, flags).repository(image.name)
  const manifest = await manifests.get(referenceOf(image), untilDone)
  for (const each of wanted) await manifests.put(each, manifest, untilDone)
  print(manifest.digest)
  return 'done'
}
