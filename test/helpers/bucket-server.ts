/** A server program over a bucket, with people and images in it, and the wire between it and its store. */
import { newFormat } from '../../storage/format.ts'
import { formatKey } from '../../storage/layout.ts'
import { setAccess, storedRules, storedUser } from './access.ts'
import { prefix, storeIn } from './bucket.ts'
import type { Image } from './images.ts'
import { pushImage, registryOver, repo, tag } from './local-registry.ts'
import type { S3Engine } from './s3-engine.ts'
import { type S3Proxy, startS3Proxy } from './s3-proxy.ts'
import { startServer, type TestServer } from './server.ts'
import { soon } from './waiting.ts'

export interface BucketServer extends AsyncDisposable {
  readonly server: TestServer
  /** What the server and its clients ask the store for. */
  readonly wire: S3Proxy
}

/**
 * Each image is pulled by its repository and the tag 1, by `reader` and by `writer`, who pushes too. Clients know the store by another host than the
 * server, which is 127.0.0.1, unless that is what it is to be.
 */
export async function bucketServer(
  engine: S3Engine,
  images: Readonly<Record<string, Image>>,
  storeHost = 'localhost',
): Promise<BucketServer> {
  const bucket = await engine.bucket()
  const store = storeIn(engine, bucket)
  await using stack = new AsyncDisposableStack()
  stack.defer(() => store.close())
  const format = newFormat('of-this-test')
  await store.write(formatKey, Buffer.from(JSON.stringify(format)), soon())
  await setAccess(store, {
    users: [storedUser('reader'), storedUser('writer')],
    rules: storedRules('pull ** reader', 'push ** writer'),
  })
  const wire = stack.use(await startS3Proxy(engine))
  const endpoint = new URL(wire.endpoint)
  endpoint.hostname = storeHost
  const server = stack.use(
    await startServer({
      env: {
        SLIPWAY_STORAGE_S3_BUCKET: `s3://${bucket}/${prefix}`,
        SLIPWAY_STORAGE_S3_ENDPOINT: endpoint.href,
        SLIPWAY_STORAGE_S3_REGION: engine.region,
        SLIPWAY_STORAGE_S3_ACCESS_KEY_ID: engine.accessKeyId,
        SLIPWAY_STORAGE_S3_SECRET_ACCESS_KEY: engine.secretAccessKey,
      },
    }),
  )
  const registry = registryOver(store, { registryId: format.id })
  for (const [name, image] of Object.entries(images)) await pushImage(registry, image, tag('1'), repo(name))
  const open = stack.move()
  return { server, wire, [Symbol.asyncDispose]: () => open.disposeAsync() }
}
