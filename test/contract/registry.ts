import { type AgingStore, describeBlobs } from './blobs.ts'
import { describeManifestRaces } from './manifest-races.ts'
import { describeManifests } from './manifests.ts'
import { describeReferrers } from './referrers.ts'
import { describeUploads } from './uploads.ts'

/** Everything that storage/registry.ts promises, whatever lies below. */
export function describeRegistry(name: string, open: () => Promise<AgingStore>): void {
  describeBlobs(name, open)
  describeUploads(name, open)
  describeManifests(name, open)
  describeManifestRaces(name, open)
  describeReferrers(name, open)
}
