/** A store over a bucket of an engine, or of a wire to one. */
import { onTestFinished } from 'vitest'
import { bucketStore } from '../../storage/bucket-store.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { partBuffers } from '../../storage/part-buffers.ts'
import { s3Bucket } from '../../storage/s3-bucket.ts'
import { usualPatience } from '../../storage/s3-requests.ts'
import type { S3Place } from './s3-requests.ts'

/** What both engines keep. */
const guarantees = { conditionalWrite: true, conditionalRemove: false }

const placeIn = (place: S3Place, bucket: string) => ({
  bucket,
  prefix: 'some/where',
  endpoint: place.endpoint.href,
  region: place.region,
  pathStyle: true,
  credentials: place,
})

/** `now` is the clock that addresses for clients are made by. */
export function storeIn(place: S3Place, bucket: string, now?: () => number): ObjectStore {
  const buffers = partBuffers({ bytes: 5 * 1024 * 1024, most: 4 })
  const store = bucketStore(s3Bucket(placeIn(place, bucket), usualPatience, now), guarantees, buffers)
  onTestFinished(() => store.close())
  return store
}
