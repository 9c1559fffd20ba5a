import type { Place } from '../storage/place.ts'
import type { Settings } from './config.ts'
import type { NamedFiles } from './named-files.ts'

/** Where everything is kept, by the settings and the files that they name. */
export function placeOf(
  { data, durability, storage: { s3 } }: Pick<Settings, 'data' | 'durability' | 'storage'>,
  { s3Secret }: Pick<NamedFiles, 's3Secret'>,
): Place {
  const { bucket, endpoint, region, pathStyle, accessKeyId, secretAccessKey = s3Secret } = s3
  if (bucket === undefined) return { kind: 'folder', path: data, durability }
  const credentials =
    accessKeyId !== undefined && secretAccessKey !== undefined ? { accessKeyId, secretAccessKey } : undefined
  const { name, prefix } = bucket
  return { kind: 'bucket', settings: { bucket: name, prefix, endpoint, region, pathStyle, credentials } }
}
