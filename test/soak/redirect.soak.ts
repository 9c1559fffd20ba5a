/** A layer of a GiB by each client, from a store that they are sent to and through the server. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { password } from '../helpers/access.ts'
import { type BucketServer, bucketServer } from '../helpers/bucket-server.ts'
import { image } from '../helpers/images.ts'
import { describeLoginClients } from '../helpers/login-clients.ts'
import { describeUnless, needsOwnServer, needsPrograms } from '../helpers/obstacles.ts'
import { startEngine } from '../helpers/s3-engine.ts'

const minutes = 60_000

for (const name of ['versitygw', 'minio'] as const)
  describeUnless(needsOwnServer() ?? needsPrograms([name]), name, () => {
    const open = new AsyncDisposableStack()
    let apart: BucketServer
    let together: BucketServer
    beforeAll(async () => {
      // Two, as some clients keep what they have pulled where the next pull finds it. Before the engine starts: no connection
      // outlives the time that they take.
      const [one, two] = ['apart', 'together'].map(seed => image({ seed, layers: [2 ** 30] }))
      const engine = open.use(await startEngine(name))
      apart = open.use(await bucketServer(engine, { ...(one && { 'team/large': one }) }))
      together = open.use(await bucketServer(engine, { ...(two && { 'team/large': two }) }, '127.0.0.1'))
    }, 10 * minutes)
    afterAll(() => open.disposeAsync())

    describeLoginClients(({ client, person }) => {
      it('takes it from the store', () => take(apart, 307))
      it('takes it through the server', () => take(together, 200))

      async function take({ server }: BucketServer, status: number): Promise<void> {
        const somebody = await person(server.host)
        await somebody.done(client.login(server.host, 'reader', password))
        const from = `${server.host}/team/large:1`
        await somebody.done(client.pull(from, somebody.path('pulled')), { boundMs: 10 * minutes })
        const statuses = server.log
          .filter(({ operation }) => operation === 'getBlob')
          .map(line => line.status)
        // The configuration, and the layer.
        expect(statuses.toSorted()).toEqual([200, status])
      }
    })
  })
