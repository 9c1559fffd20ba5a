/** What an image is made of, for people and for programs. */
import { oneLine } from '../client/client-error.ts'
import { type Contents, contentsOf } from '../client/contents.ts'
import { readConfig } from '../client/image-config.ts'
import { formatImage, parseImageReference, referenceOf } from '../client/image-reference.ts'
import type { ManifestContent } from '../client/manifests.ts'
import { formatPlatform, platformIn } from '../client/platform.ts'
import { roundSize } from '../server/units.ts'
import type { Outcome } from './command.ts'
import { type ClientFlags, openRegistry, operand, untilDone } from './registries.ts'
import { UsageError } from './usage.ts'

interface InspectFlags extends ClientFlags {
  readonly json?: boolean | undefined
  readonly raw?: boolean | undefined
}

type Config = Readonly<Record<string, unknown>> | undefined

export async function inspect(
  text: string,
  flags: InspectFlags,
  print: (text: string) => void,
): Promise<Outcome> {
  if (flags.raw && flags.json) throw new UsageError('--raw and --json exclude each other: give one of them')
  const image = operand(text, parseImageReference)
  const repository = openRegistry(image.host, flags).repository(image.name)
  const manifest = await repository.manifests.get(referenceOf(image), untilDone)
  if (flags.raw) {
    process.stdout.write(manifest.bytes)
    return 'done'
  }
  const contents = contentsOf(manifest)
  const config = await readConfig(repository, contents.config, untilDone)
  const name = formatImage(image, referenceOf(image))
  print(flags.json ? toJson(name, manifest, config) : toText(name, manifest, contents, config))
  return 'done'
}

function toJson(name: string, { digest, mediaType, size, bytes }: ManifestContent, config: Config): string {
  const manifest: unknown = JSON.parse(bytes.toString())
  return JSON.stringify({ name, digest, mediaType, size, manifest, config: config ?? null })
}

type Row = readonly [left: string, right: string]

function toText(name: string, manifest: ManifestContent, contents: Contents, config: Config): string {
  return table([
    ['name', name],
    ['digest', manifest.digest],
    ['media type', manifest.mediaType],
    ...(contents.kind === 'index' ? indexRows(contents) : imageRows(contents, config)),
  ])
}

function indexRows({ manifests }: Contents): readonly Row[] {
  return manifests.map(({ digest, platform }) => [
    platform ? formatPlatform(platform) : 'no platform',
    digest,
  ])
}

function imageRows({ layers, config: descriptor }: Contents, config: Config): readonly Row[] {
  const platform = platformIn(config)
  const bytes = layers.reduce((sum, { size }) => sum + size, 0)
  return [
    ...(platform ? [['platform', formatPlatform(platform)] as const] : []),
    ...(typeof config?.created === 'string' ? [['created', config.created] as const] : []),
    ...labelsIn(config).map(label => ['label', label] as const),
    ...(descriptor ? [['config', `${descriptor.digest}  ${roundSize(descriptor.size)}`] as const] : []),
    ...layers.map(({ digest, size }) => ['layer', `${digest}  ${roundSize(size)}`] as const),
    ['size', `${roundSize(bytes)} in ${layers.length} ${layers.length === 1 ? 'layer' : 'layers'}`],
  ]
}

function labelsIn(config: Config): readonly string[] {
  const inner = config?.config
  if (typeof inner !== 'object' || inner === null || !('Labels' in inner)) return []
  return Object.entries(inner.Labels ?? {}).map(([name, value]) => `${name}=${value}`)
}

/** Texts that somebody else wrote go to a terminal. */
function table(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `${oneLine(left).padEnd(width)}  ${oneLine(right)}`).join('\n')
}
