/** The OCI distribution specification's own conformance program. */
import { describe, expect, it } from 'vitest'
import type { AccessState } from '../auth/state.ts'
import { openFolder } from '../storage/open.ts'
import { apiToken, password, setAccess, storedRules, storedUser } from './helpers/access.ts'
import { absence, type Conformance, conform } from './helpers/conformance.ts'
import { name } from './helpers/principals.ts'
import { remark } from './helpers/reporter.ts'
import { openSandbox } from './helpers/sandbox.ts'
import { startServer } from './helpers/server.ts'

/** Its owners may do more, and it has no level beyond what the program does, and no repository but the program's own. */
const scoped = { ceiling: ['delete conformance/**'] }
const ofRobot = apiToken('robot:ci', scoped)
const ofPerson = apiToken('user:root', scoped)

async function outcomeOf(
  settings: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>>,
  access: Partial<AccessState> | undefined,
): Promise<Conformance> {
  await using sandbox = await openSandbox()
  const data = sandbox.path('data')
  if (access) {
    const { store, close } = await openFolder(data, 'server', { durability: 'relaxed' })
    await setAccess(store, access)
    await close()
  }
  await using registry = await startServer({ env, data })
  return await conform(registry.host, settings)
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
      skip(absence !== undefined, absence)
      const outcome = await outcomeOf(settings, server, access)
      const { totals, summary } = outcome
      await annotate(`conformance ${how}: ${summary}`, remark)

      expect(outcome.failures).toEqual([])
      expect(outcome.rest).toEqual(rest)
      expect(totals).toMatchObject({ FAIL: 0, Error: 0, Skip: 0, Disabled: 0, Pass: totals.Total })
      expect(totals.Total).toBeGreaterThan(least)
    },
  )
})
