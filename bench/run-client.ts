import { fileURLToPath } from 'node:url'
import type { Io } from '../oci/io.ts'
import type { Job } from './client.ts'
import type { Report } from './drive.ts'
import { runProgram } from './program.ts'

const client = fileURLToPath(new URL('./client.ts', import.meta.url))

/** Runs a load in a process of its own. Throws when any request of it failed: such a load gives no number. */
export async function runClient(job: Job, io: Io): Promise<Report> {
  const report = await tryClient(job, io)
  if (report.failures === 0 && report.requests > 0) return report
  const all = report.failures + report.requests
  throw new Error(`${report.failures} of ${all} requests failed: ${report.errors[0] ?? 'none was answered'}`)
}

/** The same, with its failures as numbers. */
export async function tryClient(job: Job, io: Io): Promise<Report> {
  const { stdout } = await runProgram(process.execPath, [client, JSON.stringify(job)], io)
  // Printed by client.ts, which has this type.
  return JSON.parse(stdout) as Report
}
