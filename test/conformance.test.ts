/** The OCI distribution specification's own conformance program. */
import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import type { AccessState } from '../auth/state.ts'
import { openFolder } from '../storage/open.ts'
import { apiToken, password, setAccess, storedRules, storedUser } from './helpers/access.ts'
import { name } from './helpers/principals.ts'
import { findProgram } from './helpers/programs.ts'
import { remark } from './helpers/reporter.ts'
import { openSandbox } from './helpers/sandbox.ts'
import { startServer } from './helpers/server.ts'

const program = process.env.CONFORMANCE_PROGRAM ?? findProgram('conformance')
const absence =
  'conformance, the OCI distribution specification’s own test program, is not here: CONFORMANCE_PROGRAM names it'

/** What the version `dev` turns on, each by name, so that a change of its defaults takes nothing away. */
const everything = {
  OCI_VERSION: 'dev',
  OCI_TLS: 'disabled',
  OCI_API_BLOBS_UPLOAD_CANCEL: 'true',
  OCI_API_BLOBS_DIGEST_HEADER: 'true',
  OCI_API_BLOBS_MOUNT_ANONYMOUS: 'true',
  OCI_API_MANIFESTS_DIGEST_HEADER: 'true',
  OCI_API_MANIFESTS_TAG_PARAM: 'true',
}

/** Its owners may do more, and it has no level beyond what the program does, and no repository but the program's own. */
const scoped = { ceiling: ['delete conformance/**'] }
const ofRobot = apiToken('robot:ci', scoped)
const ofPerson = apiToken('user:root', scoped)

interface Outcome {
  readonly totals: Readonly<Record<string, number>>
  /** Areas of the API and kinds of data that did not simply pass. */
  readonly rest: Readonly<Record<string, string>>
  /** The first of the single checks that did not pass. */
  readonly failures: readonly string[]
}

async function conform(
  settings: Readonly<Record<string, string>>,
  server: Readonly<Record<string, string>>,
  access: Partial<AccessState> | undefined,
): Promise<Outcome> {
  await using sandbox = await openSandbox()
  const data = sandbox.path('data')
  if (access) {
    const { store, close } = await openFolder(data, 'server', { durability: 'relaxed' })
    await setAccess(store, access)
    await close()
  }
  await using registry = await startServer({ env: server, data })
  const env = {
    ...everything,
    ...settings,
    OCI_REGISTRY: registry.host,
    OCI_RESULTS_DIR: sandbox.path('results'),
  }
  const report = await sandbox.run(program ?? '', [], { env, accept: [0, 1] })
  const junit = await readFile(sandbox.path('results', 'junit.xml'), 'utf8')
  const results = parse(await readFile(sandbox.path('results', 'results.yaml'), 'utf8')) as Results
  const totals = [...report.matchAll(/^ {2}(Disabled|Skip|Pass|FAIL|Error|Total)\.+: +(\d+)$/gm)]
  const failures = [...junit.matchAll(/<testcase name="([^"]*)"[^>]* status="(?!passed)/g)]
  return {
    totals: Object.fromEntries(totals.map(([, name, count]) => [name, Number(count)])),
    rest: Object.fromEntries(
      Object.entries({ ...results.apis, ...results.data }).filter(([, how]) => how !== 'Pass'),
    ),
    failures: [...new Set(failures.map(([, name = '']) => name))].slice(0, 20),
  }
}

/** The part of results.yaml that is of use here. */
interface Results {
  readonly apis: Readonly<Record<string, string>>
  readonly data: Readonly<Record<string, string>>
}

describe('conformance', () => {
  it.for([
    ['with everything on', { OCI_DATA_SPARSE: 'true' }, { SLIPWAY_SPARSE: 'any' }, {}, 1000, undefined],
    [
      'as the server starts by default',
      { OCI_DATA_SPARSE: 'false' },
      {},
      { 'Sparse Manifests': 'Disabled' },
      900,
      undefined,
    ],
    [
      'for an owner with a password',
      { OCI_DATA_SPARSE: 'true', OCI_USERNAME: 'owner', OCI_PASSWORD: password },
      { SLIPWAY_SPARSE: 'any' },
      {},
      1000,
      { users: [storedUser('owner')], rules: storedRules('delete conformance/** owner') },
    ],
    [
      'for a robot under a ceiling',
      { OCI_DATA_SPARSE: 'true', OCI_USERNAME: 'ci', OCI_PASSWORD: ofRobot.text },
      { SLIPWAY_SPARSE: 'any' },
      {},
      1000,
      {
        robots: [{ name: name('ci'), createdMs: 1 }],
        tokens: [ofRobot.stored],
        rules: storedRules('delete ** robot:ci'),
      },
    ],
    [
      'for an administrator’s API token under a ceiling',
      { OCI_DATA_SPARSE: 'true', OCI_USERNAME: 'root', OCI_PASSWORD: ofPerson.text },
      { SLIPWAY_SPARSE: 'any' },
      {},
      1000,
      { users: [storedUser('root', { groups: [name('administrators')] })], tokens: [ofPerson.stored] },
    ],
  ] as const)(
    'is whole %s',
    { timeout: 60_000 },
    async ([how, settings, server, rest, least, access], { annotate, skip }) => {
      skip(program === undefined, absence)
      const outcome = await conform(settings, server, access)
      const { totals } = outcome
      await annotate(
        `conformance ${how}: ${Object.entries(totals)
          .map(([what, count]) => `${what} ${count}`)
          .join(', ')}`,
        remark,
      )

      expect(outcome.failures).toEqual([])
      expect(outcome.rest).toEqual(rest)
      expect(totals).toMatchObject({ FAIL: 0, Error: 0, Skip: 0, Disabled: 0, Pass: totals.Total })
      expect(totals.Total).toBeGreaterThan(least)
    },
  )
})
