/** The OCI distribution specification's own conformance program. */
import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { findProgram } from './programs.ts'
import { openSandbox } from './sandbox.ts'

const program = process.env.CONFORMANCE_PROGRAM ?? findProgram('conformance')

/** Why it cannot be run; undefined where it can. */
export const absence =
  program === undefined
    ? 'conformance, the OCI distribution specification’s own test program, is not here: CONFORMANCE_PROGRAM names it'
    : undefined

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

export interface Conformance {
  readonly totals: Readonly<Record<string, number>>
  /** Areas of the API and kinds of data that did not simply pass. */
  readonly rest: Readonly<Record<string, string>>
  /** The first of the single checks that did not pass. */
  readonly failures: readonly string[]
  /** All totals, in a line. */
  readonly summary: string
}

/** Runs it to its end against the registry at `host`. */
export async function conform(
  host: string,
  settings: Readonly<Record<string, string>>,
  boundMs = 60_000,
): Promise<Conformance> {
  await using sandbox = await openSandbox()
  const env = {
    ...everything,
    ...settings,
    OCI_REGISTRY: host,
    OCI_RESULTS_DIR: sandbox.path('results'),
  }
  const report = await sandbox.run(program ?? '', [], { env, accept: [0, 1], boundMs })
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
    summary: totals.map(([, name, count]) => `${name} ${count}`).join(', '),
  }
}

/** The part of results.yaml that is of use here. */
interface Results {
  readonly apis: Readonly<Record<string, string>>
  readonly data: Readonly<Record<string, string>>
}
