import { afterAll, beforeAll } from 'vitest'
import { storeIn } from '../helpers/bucket.ts'
import { describeUnless, needsPrograms } from '../helpers/obstacles.ts'
import { type EngineName, type S3Engine, startEngine } from '../helpers/s3-engine.ts'
import { io } from '../helpers/waiting.ts'
import { describeRegistry } from './registry.ts'

const hourMs = 3600_000

/** The same for a bucket of an engine. A file each, as most of what they do is waiting. */
export function describeBucketRegistry(name: EngineName): void {
  describeUnless(needsPrograms([name]), name, () => {
    let engine: S3Engine
    beforeAll(async () => {
      engine = await startEngine(name)
    })
    afterAll(() => engine[Symbol.asyncDispose]())

    describeRegistry(`a registry in a bucket of ${name}`, async () => {
      // Each delete waits for so long; two seconds, as usual, would make a long test of it.
      const store = storeIn(engine, await engine.bucket(), undefined, 50)
      /** What was written when, by its etag: no store lets anybody say when that was. */
      const ages = new Map<string, number>()
      const { read } = store
      store.read = async (key, options) => {
        const found = await read(key, options)
        if (!found) return undefined
        return { ...found, modifiedMs: found.modifiedMs - (ages.get(key + found.etag) ?? 0) * hourMs }
      }
      return {
        store,
        async age(key, hours) {
          const found = await read(key, io)
          if (!found) throw new Error(`nothing is at ${key}`)
          ages.set(key + found.etag, hours)
          await store.everybodySees?.(io)
        },
      }
    })
  })
}
