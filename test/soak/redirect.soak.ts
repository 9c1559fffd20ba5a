/**
 * A layer of a GiB by each client: to a registry, from a store that it is sent to, and through the server. SOAK_ENGINE names
 * another engine.
 */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { basic, password } from '../helpers/access.ts'
import { type BucketServer, bucketServer } from '../helpers/bucket-server.ts'
import { send } from '../helpers/http.ts'
import { type Descriptor, image } from '../helpers/images.ts'
import { describeLoginClients } from '../helpers/login-clients.ts'
import { describeUnless, needsOwnServer, needsPrograms } from '../helpers/obstacles.ts'
import { expectPulled, type Layers, layersOf } from '../helpers/pulled.ts'
import { type EngineName, startEngine } from '../helpers/s3-engine.ts'
import { isByAddress } from '../helpers/s3-proxy.ts'
import { until } from '../helpers/until.ts'

const engineName = (process.env.SOAK_ENGINE ?? 'versitygw') as EngineName
const gib = 2 ** 30
const boundMs = 10 * 60_000

describeUnless(needsOwnServer() ?? needsPrograms([engineName]), engineName, () => {
  const open = new AsyncDisposableStack()
  let apart: BucketServer & Held
  let together: BucketServer & Held
  beforeAll(async () => {
    // Two, as some clients keep what they have pulled where the next pull finds it. Before the engine starts: no connection
    // outlives the time that they take.
    const [one, two] = [image({ seed: 'apart', layers: [gib] }), image({ seed: 'together', layers: [gib] })]
    const engine = open.use(await startEngine(engineName))
    const held = (image: typeof one) => ({ size: image.blobs[1]?.descriptor.size, layers: layersOf(image) })
    apart = { ...open.use(await bucketServer(engine, { 'team/large': one })), ...held(one) }
    together = { ...open.use(await bucketServer(engine, { 'team/large': two }, '127.0.0.1')), ...held(two) }
  }, boundMs)
  afterAll(() => open.disposeAsync(), boundMs)

  describeLoginClients(({ program, client, person, push }) => {
    it('takes it from the store', async () => {
      const { wire, size } = apart
      const before = wire.requests.length
      expect(await take(apart)).toEqual(new Set([307]))
      const fetched = wire.requests.slice(before).filter(isByAddress)
      for (const { status, headers } of fetched)
        expect([[200, 206].includes(status), headers.authorization]).toEqual([true, undefined])
      expect(fetched.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0)).toBe(size)
    })

    it('takes it through the server', async () => {
      const before = together.wire.requests.length
      expect(await take(together)).toEqual(new Set([200]))
      expect(together.wire.requests.slice(before).filter(isByAddress)).toEqual([])
    })

    it('sends it, and the store has it as it was sent', async () => {
      const { server } = apart
      const somebody = await person(server.host)
      await somebody.done(client.login(server.host, 'writer', password))
      const made = await client.make(somebody, `${program}-sends`, gib)
      const name = `team/${program}`
      const sent = await push(somebody, made, `${server.host}/${name}:1`, { boundMs })
      expect(sent).toMatchObject({ status: 0 })

      const large = (await layersAt(server.address, name)).filter(({ size }) => size > gib)
      expect(large).toHaveLength(1)
      for (const each of large)
        expect(await contentOf(server.address, name, each)).toEqual([each.digest, each.size])
    })

    /** The statuses that the layer was answered with. */
    async function take({ server, layers }: BucketServer & Held): Promise<Set<unknown>> {
      const somebody = await person(server.host)
      await somebody.done(client.login(server.host, 'reader', password))
      const [from, folder] = [`${server.host}/team/large:1`, somebody.path('pulled')]
      const before = server.log.length
      await somebody.done(client.pull(from, folder), { boundMs })
      await expectPulled(program, somebody, from, folder, layers)
      const answers = () =>
        server.log
          .slice(before)
          .filter(({ operation, digest }) => operation === 'getBlob' && digest === layers.sent[0])
          .map(({ status }) => status)
      await until('it is in the log', () => answers().length > 0)
      return new Set(answers())
    }
  })
})

interface Held {
  readonly layers: Layers
  /** Of the layer, as it is sent. */
  readonly size: number | undefined
}

const authorization = basic('writer', password)

async function layersAt(address: string, name: string): Promise<readonly Descriptor[]> {
  const accept = [
    'application/vnd.oci.image.manifest.v1+json',
    'application/vnd.docker.distribution.manifest.v2+json',
  ]
  const headers = { accept: accept.join(', ') }
  const { status, text } = await send(address, `/v2/${name}/manifests/1`, { authorization, headers })
  expect(status).toBe(200)
  return (JSON.parse(text) as { layers: Descriptor[] }).layers
}

/** The digest and the size of what the store has where the registry says that a blob is. */
async function contentOf(address: string, name: string, { digest }: Descriptor): Promise<[string, number]> {
  const { status, headers } = await send(address, `/v2/${name}/blobs/${digest}`, { authorization })
  expect(status).toBe(307)
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of (await fetch(headers.location ?? '')).body ?? []) {
    hash.update(chunk)
    size += chunk.length
  }
  return [`sha256:${hash.digest('hex')}`, size]
}
