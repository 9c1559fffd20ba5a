/** What an image runs on, as an index and a configuration say it (image specification, Image Index). */
export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string
}

/** `os/arch[/variant]`; undefined for anything else. */
export function parsePlatform(text: string): Platform | undefined {
  const [, os, architecture, variant] =
    /^([a-z0-9_.-]+)\/([a-z0-9_.-]+)(?:\/([a-z0-9_.-]+))?$/.exec(text) ?? []
  if (os === undefined || architecture === undefined) return undefined
  return variant === undefined ? { os, architecture } : { os, architecture, variant }
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join('/')
}

/** Out of somebody's JSON; undefined where it is not said. */
export function platformIn(value: unknown): Platform | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { os, architecture, variant } = value as Record<string, unknown>
  if (typeof os !== 'string' || typeof architecture !== 'string') return undefined
  return typeof variant === 'string' && variant ? { os, architecture, variant } : { os, architecture }
}

/** Who wants no variant takes any. */
export function suits(platform: Platform | undefined, wanted: Platform): boolean {
  return (
    platform?.os === wanted.os &&
    platform.architecture === wanted.architecture &&
    (wanted.variant === undefined || variantOf(platform) === wanted.variant)
  )
}

/** arm64 has one variant, which few write down. */
const variantOf = ({ architecture, variant }: Platform) =>
  variant ?? (architecture === 'arm64' ? 'v8' : undefined)
