import { join } from 'node:path'
import type { Store } from './engine.ts'

/** Distribution's settings, which are also those of docker-registry. */
export interface DistributionOptions {
  readonly folder: string
  readonly port: number
  readonly store?: Store | undefined
  /** Of the parts of multipart uploads, when not what it takes by itself. */
  readonly partBytes?: number | undefined
}

export const distributionConfiguration = ({
  folder,
  port,
  store,
  partBytes,
}: DistributionOptions) => `version: 0.1
log: { level: error, accesslog: { disabled: true } }
storage:
  cache: { blobdescriptor: inmemory }
  ${store ? bucketOf(store, partBytes) : `filesystem: { rootdirectory: ${JSON.stringify(join(folder, 'data'))} }`}
  redirect: { disable: ${!store?.redirect} }
  delete: { enabled: true }
  maintenance: { uploadpurging: { enabled: false } }
http: { addr: "127.0.0.1:${port}", secret: bench }
health: { storagedriver: { enabled: false } }
`

/** In one line: JSON is YAML. */
function bucketOf(store: Store, partBytes: number | undefined): string {
  const { bucket, endpoint, region, accessKeyId, secretAccessKey } = store
  const settings = {
    bucket,
    region,
    regionendpoint: endpoint,
    forcepathstyle: true,
    secure: false,
    accesskey: accessKeyId,
    secretkey: secretAccessKey,
    ...(partBytes !== undefined && { chunksize: partBytes }),
  }
  return `s3: ${JSON.stringify(settings)}`
}
