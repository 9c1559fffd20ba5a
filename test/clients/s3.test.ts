/** Clients that fetch layers from the store itself, of a registry that wants them to log in. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { password } from '../helpers/access.ts'
import { type BucketServer, bucketServer } from '../helpers/bucket-server.ts'
import { image } from '../helpers/images.ts'
import { describeLoginClients, loginClients } from '../helpers/login-clients.ts'
import { describeUnless, needsOwnServer, needsPrograms } from '../helpers/obstacles.ts'
import { startEngine } from '../helpers/s3-engine.ts'
import { isByAddress } from '../helpers/s3-proxy.ts'
import { until } from '../helpers/until.ts'

for (const name of ['versitygw', 'minio'] as const)
  describeUnless(needsOwnServer() ?? needsPrograms([name]), name, () => {
    // Of its own for each, as some keep what they have pulled where others find it.
    const images = Object.fromEntries(
      Object.keys(loginClients).map(program => [
        `team/${program}`,
        image({ seed: `${name} ${program}`, layers: [2_000, 300_000, 200_000] }),
      ]),
    )
    const open = new AsyncDisposableStack()
    let self: BucketServer
    let besideIt: BucketServer
    beforeAll(async () => {
      const engine = open.use(await startEngine(name))
      self = open.use(await bucketServer(engine, images))
      besideIt = open.use(await bucketServer(engine, images, '127.0.0.1'))
    })
    afterAll(() => open.disposeAsync())

    describeLoginClients(({ program, client, person }) => {
      it('fetches large layers by the addresses that it is given, and shows nobody its token', async () => {
        const { server, wire } = self
        const repository = `team/${program}`
        const layers = images[repository]?.blobs.filter(({ bytes }) => bytes.length > 64 * 1024) ?? []
        const somebody = await person(server.host)
        await somebody.done(client.login(server.host, 'reader', password))
        const before = wire.requests.length
        await somebody.done(client.pull(`${server.host}/${repository}:1`, somebody.path('pulled')))

        const fetched = wire.requests.slice(before).filter(isByAddress)
        expect(fetched.length).toBeGreaterThanOrEqual(layers.length)
        for (const { status, headers } of fetched)
          expect([[200, 206].includes(status), headers.authorization]).toEqual([true, undefined])
        const sentAway = () =>
          server.log
            .filter(each => each.name === repository && each.operation === 'getBlob' && each.status === 307)
            .map(each => each.digest)
        await until('it is in the log', () => new Set(sentAway()).size === layers.length)
        expect(new Set(sentAway())).toEqual(new Set(layers.map(({ descriptor }) => descriptor.digest)))
        expect(JSON.stringify(server.log)).not.toContain('X-Amz')
      })

      it('gets large layers from the server where the store is on its host', async () => {
        const { server, wire } = besideIt
        const somebody = await person(server.host)
        await somebody.done(client.login(server.host, 'reader', password))
        const before = wire.requests.length
        await somebody.done(client.pull(`${server.host}/team/${program}:1`, somebody.path('pulled')))

        const asked = wire.requests.slice(before)
        const shown = asked.filter(({ headers }) => headers.authorization?.startsWith('Bearer'))
        expect([shown, asked.filter(isByAddress)]).toEqual([[], []])
      })
    })
  })
