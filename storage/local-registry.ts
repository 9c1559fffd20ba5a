import { blobs } from './blobs.ts'
import { isReferenced } from './manifest-records.ts'
import { manifests, type Sparse } from './manifests.ts'
import type { ObjectStore } from './object-store.ts'
import { referrers } from './referrers.ts'
import type { Registry } from './registry.ts'
import { repositories } from './repositories.ts'
import { tags } from './tags.ts'
import { type UploadLimits, uploads } from './uploads.ts'

/** What may change while the registry runs is asked for each time. */
export interface RegistryOptions {
  readonly registryId: string
  sparse(): Sparse
  uploadLimits(): UploadLimits
}

/** The registry over a store: every part knows the store and the parts above it, and nothing else. */
export function localRegistry(
  store: ObjectStore,
  { registryId, sparse, uploadLimits }: RegistryOptions,
): Registry {
  const names = repositories(store, registryId)
  const blobStore = blobs(store, names, (rid, digest, io) => isReferenced(store, rid, digest, io))
  return {
    blobs: blobStore,
    uploads: uploads(store, names, blobStore, uploadLimits),
    manifests: manifests(store, names, blobStore, tags(store), referrers(store), sparse),
    repositories: names.list,
    check: io => store.check(io),
  }
}
