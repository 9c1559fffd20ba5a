/** A store over a bucket of an engine, or of a wire to one. */
import { bucketStore } from '../../storage/bucket-store.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { partBuffers } from '../../storage/part-buffers.ts'
import { s3Bucket } from '../../storage/s3-bucket.ts'
import { usualPatience } from '../../storage/s3-requests.ts'
import type { S3Place } from './s3-requests.ts'

/** What both engines keep. */
const guarantees = { conditionalWrite: true, conditionalRemove: false }

/** In front of every key. */
export const prefix = 'some/where'

/** `now` is the clock that addresses for clients are made by. Whoever asks for it closes it. */
export function storeIn(place: S3Place, bucket: string, now?: () => number, trustedMs?: number): ObjectStore {
  const settings = {
    bucket,
    prefix,
    endpoint: place.endpoint.href,
    region: place.region,
    pathStyle: true,
    credentials: place,
  }
  const buffers = partBuffers({ bytes: 5 * 1024 * 1024, most: 4 })
  return bucketStore(
    s3Bucket(settings, usualPatience, now),
    guarantees,
    buffers,
    trustedMs === undefined ? {} : { trustedMs },
  )
}
