import type { Io } from '../oci/io.ts'
import type { Job } from './client.ts'
import type { Report } from './drive.ts'
import type { Server } from './fleet.ts'
import type { Sample } from './measure.ts'
import { cpuSeconds, endedChildrenCpuSeconds } from './processes.ts'
import { runProgram } from './program.ts'
import { runClient } from './run-client.ts'
import { runWrk, type WrkLoad } from './wrk.ts'

/** What is timed. */
export type Target = Pick<Server, 'port' | 'pid'>

export type Timed = Sample & { readonly report: Report }

/** Processor time of the server for each gigabyte that the load moved, and megabytes in a second. */
export async function timeBytes(server: Target, job: Job, io: Io): Promise<Timed> {
  const { report, cpu } = await timeLoad(server, job, io)
  const clientCores = report.clientCpuSeconds / report.seconds
  return { value: report.bytes / 1e6 / report.seconds, cpu: cpu / (report.bytes / 1e9), clientCores, report }
}

/** Requests in a second, how long they took, and the server's processor time for ten thousand. */
export async function timeRequests(server: Target, job: Job, io: Io): Promise<Timed> {
  const { report, cpu } = await timeLoad(server, job, io)
  const { requests, seconds, p50Ms, p99Ms, clientCpuSeconds } = report
  const clientCores = clientCpuSeconds / seconds
  return { value: requests / seconds, p50Ms, p99Ms, cpu: (cpu / requests) * 1e4, clientCores, report }
}

/** The same with wrk as the client. */
export async function timeWrk(server: Target, load: WrkLoad, io: Io): Promise<Sample> {
  const cpuBefore = cpuSeconds(server.pid())
  const clientBefore = endedChildrenCpuSeconds()
  const report = await runWrk(server.port(), load, io)
  const cpu = cpuSeconds(server.pid()) - cpuBefore
  return {
    value: report.requestsPerSecond,
    p50Ms: report.p50Ms,
    p99Ms: report.p99Ms,
    cpu: (cpu / report.requests) * 1e4,
    clientCores: (endedChildrenCpuSeconds() - clientBefore) / report.seconds,
  }
}

/** What one server wrote goes to the disk before the next is timed. */
export async function settle(server: Server, io: Io): Promise<void> {
  await runProgram('sync', ['-f', server.folder], io)
}

async function timeLoad(server: Target, job: Job, io: Io): Promise<{ report: Report; cpu: number }> {
  const before = cpuSeconds(server.pid())
  const report = await runClient(job, io)
  return { report, cpu: cpuSeconds(server.pid()) - before }
}
