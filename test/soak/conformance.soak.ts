/**
 * The conformance program against a registry in a bucket, where each of its many deletes takes two seconds. SOAK_ENGINE
 * names another engine.
 */
import { openPlace } from '../../storage/place.ts'
import { password, setAccess, storedRules, storedUser } from '../helpers/access.ts'
import { bucketVariables } from '../helpers/buckets.ts'
import { absence, conform } from '../helpers/conformance.ts'
import { remark } from '../helpers/reporter.ts'
import { describeEngines, type EngineName } from '../helpers/s3-engine.ts'
import { isByAddress, startS3Proxy } from '../helpers/s3-proxy.ts'
import { startServer } from '../helpers/server.ts'
import { openTap } from '../helpers/tap.ts'

const { SOAK_ENGINE = 'versitygw' } = process.env
const boundMs = 25 * 60_000

/** The program's chunks are as large as it is told, and three of them are more than comes without the store. */
const largeChunks = { 'OCI-Chunk-Min-Length': '30000' }

const people = [
  { how: 'for everybody', credentials: {}, access: undefined },
  {
    how: 'for an owner with a password',
    credentials: { OCI_USERNAME: 'owner', OCI_PASSWORD: password },
    access: { users: [storedUser('owner')], rules: storedRules('delete conformance/** owner') },
  },
]
const ways = [
  { by: 'by the server alone', redirect: 'false', unchecked: {} },
  // What a store answers to whom we send there says nothing of digests.
  { by: 'by the store too', redirect: 'true', unchecked: { OCI_API_BLOBS_DIGEST_HEADER: 'false' } },
]

describeEngines(
  it => {
    it.for(ways.flatMap(way => people.map(person => ({ ...way, ...person }))))(
      'is whole over a bucket $by $how',
      { concurrent: true },
      async (
        { by, redirect, unchecked, how, credentials, access },
        { engine, bucket, annotate, skip, expect },
      ) => {
        skip(absence !== undefined, absence)
        await using wire = await startS3Proxy(engine)
        // To clients the store is another host than the registry, which is 127.0.0.1.
        const endpoint = new URL(wire.endpoint)
        endpoint.hostname = 'localhost'
        if (access) {
          const at = { bucket, endpoint: endpoint.href, region: engine.region, pathStyle: true }
          const place = { kind: 'bucket', settings: { ...at, credentials: engine } } as const
          const { store, close } = await openPlace(place, 'server')
          await setAccess(store, access)
          await close()
        }
        const env = {
          ...bucketVariables({ ...wire, endpoint }, bucket),
          SLIPWAY_SPARSE: 'any',
          SLIPWAY_STORAGE_S3_REDIRECT: redirect,
        }
        await using registry = await startServer({ env, startupMs: 60_000 })
        const begin = wire.requests.length
        await using tap = await openTap(registry.host, { insteadSays: largeChunks })
        const asked = { OCI_DATA_SPARSE: 'true', ...credentials, ...unchecked }
        const outcome = await conform(tap.host, asked, boundMs)
        const { totals, summary } = outcome
        const sentAway = tap.exchanges.filter(({ status }) => status === 307).length
        const fetched = wire.requests.slice(begin).filter(isByAddress)
        const redirects = `${sentAway} redirects, ${fetched.length} followed`
        await annotate(`conformance over ${engine.name}, ${by} ${how}: ${summary}; ${redirects}`, remark)
        expect(outcome).toMatchObject({ failures: [], rest: {} })
        expect(totals).toMatchObject({ FAIL: 0, Error: 0, Skip: 0, Disabled: 0, Pass: totals.Total })
        expect(totals.Total).toBeGreaterThan(1000)
        expect(fetched).toHaveLength(sentAway)
        for (const { status, headers } of fetched)
          expect([status, headers.authorization]).toEqual([200, undefined])
        if (redirect === 'true') expect(sentAway).toBeGreaterThan(0)
        else expect(sentAway).toBe(0)
      },
    )
  },
  [SOAK_ENGINE as EngineName],
)
