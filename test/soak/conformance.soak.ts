/** The conformance program against a registry in a bucket, where each of its many deletes takes two seconds. */
import { openPlace } from '../../storage/place.ts'
import { password, setAccess, storedRules, storedUser } from '../helpers/access.ts'
import { bucketVariables } from '../helpers/buckets.ts'
import { absence, conform } from '../helpers/conformance.ts'
import { remark } from '../helpers/reporter.ts'
import { describeEngines } from '../helpers/s3-engine.ts'
import { startServer } from '../helpers/server.ts'

const boundMs = 25 * 60_000

describeEngines(
  it => {
    it.for([
      ['for everybody', {}, undefined],
      [
        'for an owner with a password',
        { OCI_USERNAME: 'owner', OCI_PASSWORD: password },
        { users: [storedUser('owner')], rules: storedRules('delete conformance/** owner') },
      ],
    ] as const)(
      'is whole over a bucket %s',
      { concurrent: true },
      async ([how, settings, access], { engine, bucket, annotate, skip, expect }) => {
        skip(absence !== undefined, absence)
        if (access) {
          const at = { bucket, endpoint: engine.endpoint.href, region: engine.region, pathStyle: true }
          const place = { kind: 'bucket', settings: { ...at, credentials: engine } } as const
          const { store, close } = await openPlace(place, 'server')
          await setAccess(store, access)
          await close()
        }
        const env = {
          ...bucketVariables(engine, bucket),
          SLIPWAY_SPARSE: 'any',
          // What a store answers to whom we send there says nothing of digests.
          SLIPWAY_STORAGE_S3_REDIRECT: 'false',
        }
        await using registry = await startServer({ env })
        const outcome = await conform(registry.host, { OCI_DATA_SPARSE: 'true', ...settings }, boundMs)
        const { totals, summary } = outcome
        await annotate(`conformance over ${engine.name} ${how}: ${summary}`, remark)
        expect(outcome).toMatchObject({ failures: [], rest: {} })
        expect(totals).toMatchObject({ FAIL: 0, Error: 0, Skip: 0, Disabled: 0, Pass: totals.Total })
        expect(totals.Total).toBeGreaterThan(1000)
      },
    )
  },
  ['versitygw'],
)
