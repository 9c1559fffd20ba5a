import { afterAll, beforeAll, onTestFinished } from 'vitest'
import { bucketStore } from '../../storage/bucket-store.ts'
import { partBuffers } from '../../storage/part-buffers.ts'
import { s3Bucket } from '../../storage/s3-bucket.ts'
import { describeObjectStore } from '../contract/object-store.ts'
import { describeUnless, needsPrograms } from '../helpers/obstacles.ts'
import { type S3Engine, startEngine } from '../helpers/s3-engine.ts'

const tiers = {
  versitygw: { conditionalWrite: true, conditionalRemove: true },
  minio: { conditionalWrite: true, conditionalRemove: false },
}

for (const name of ['versitygw', 'minio'] as const)
  describeUnless(needsPrograms([name]), name, () => {
    let engine: S3Engine
    beforeAll(async () => {
      engine = await startEngine(name)
    })
    afterAll(() => engine[Symbol.asyncDispose]())

    describeObjectStore(
      `bucketStore over ${name}`,
      async () => {
        const settings = {
          bucket: await engine.bucket(),
          prefix: 'some/where',
          endpoint: engine.endpoint.href,
          region: engine.region,
          pathStyle: true,
          credentials: engine,
        }
        const open = () => {
          const buffers = partBuffers({ bytes: 5 * 1024 * 1024, most: 4 })
          const store = bucketStore(s3Bucket(settings), tiers[name], buffers)
          onTestFinished(() => store.close())
          return store
        }
        return { store: open(), beside: async () => open() }
      },
      { together: false },
    )
  })
