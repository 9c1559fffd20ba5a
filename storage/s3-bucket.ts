import type { Bucket } from './bucket.ts'
import { s3Locations } from './s3-locations.ts'
import { s3Multiparts } from './s3-multiparts.ts'
import { s3Objects } from './s3-objects.ts'
import { type Patience, type S3Settings, s3Requests, usualPatience } from './s3-requests.ts'

export function s3Bucket(
  settings: S3Settings,
  patience: Patience = usualPatience,
  now: () => number = Date.now,
): Bucket {
  const requests = s3Requests(settings, patience)
  return {
    ...s3Objects(requests),
    ...s3Multiparts(requests),
    ...s3Locations(requests, now),
    close: requests.close,
  }
}
