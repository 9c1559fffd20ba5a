/** What this machine and the storage can do for a registry, found out by doing it. Leaves nothing behind. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { startFileSender } from '../kernel/sender.ts'
import { codeOf } from '../oci/errors.ts'
import { probeFolder } from '../storage/folder-probe.ts'
import type { PlaceReport } from '../storage/place.ts'
import type { LoadedSettings } from './config.ts'
import { protectionFaults, survey } from './plan.ts'
import { roundSize } from './units.ts'

export interface Diagnosis {
  readonly what: string
  /** `limited`: it works without. `missing`: it does not, or is wrong. */
  readonly state: 'ok' | 'limited' | 'missing'
  readonly found: string
}

export async function diagnose(loaded: LoadedSettings): Promise<readonly Diagnosis[]> {
  const { storage, faults, protections } = await survey(loaded)
  const isLax = storage?.kind === 'bucket' && storage.tier === 'C'
  return [
    { what: 'node', state: 'ok', found: process.versions.node },
    await sendfile(),
    ...faultySettings([...faults, ...protectionFaults(isLax, protections)]),
    ...(storage?.kind === 'folder' ? await folder(storage) : []),
    ...(storage?.kind === 'bucket' ? bucket(storage) : []),
  ]
}

/** What `serve` would refuse them for. */
export function faultySettings(faults: readonly string[]): readonly Diagnosis[] {
  return faults.map(found => ({ what: 'settings', state: 'missing', found }))
}

/** Without it, large blobs pass through the process. */
async function sendfile(): Promise<Diagnosis> {
  const started = await startFileSender(() => {})
  if ('missing' in started) return { what: 'sendfile', state: 'limited', found: started.missing }
  await started.sender.close()
  return { what: 'sendfile', state: 'ok', found: 'blobs leave by the kernel' }
}

async function folder(report: Extract<PlaceReport, { kind: 'folder' }>): Promise<readonly Diagnosis[]> {
  const { path, reason, writable, ownerPid, freeBytes } = report
  if (reason !== undefined) return [{ what: 'folder', state: 'missing', found: reason }]
  if (!writable && ownerPid === undefined)
    return [{ what: 'folder', state: 'missing', found: `${path} cannot be written to` }]
  const { fault } = await tried(path).catch(error => ({ fault: `${path} takes no files (${codeOf(error)})` }))
  return [
    {
      what: 'folder',
      state: freeBytes > 0 ? 'ok' : 'limited',
      found: `${path}: ${roundSize(freeBytes)} free`,
    },
    {
      what: 'file system',
      state: fault ? 'missing' : 'ok',
      found: fault ?? 'tells names by case, has hard links',
    },
  ]
}

/** In a folder of its own, beside what is there or where it would be made. */
async function tried(path: string) {
  let there = path
  while (!existsSync(there)) there = dirname(there)
  const scratch = await mkdtemp(join(existsSync(join(there, 'tmp')) ? join(there, 'tmp') : there, 'doctor-'))
  try {
    return await probeFolder(scratch)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

function bucket({
  name,
  tier,
  reason,
  findings = [],
}: Extract<PlaceReport, { kind: 'bucket' }>): readonly Diagnosis[] {
  const whole: Diagnosis =
    reason === undefined
      ? { what: 'bucket', state: tier === 'A' ? 'ok' : 'limited', found: `${name}: tier ${tier}` }
      : { what: 'bucket', state: 'missing', found: reason }
  const each = findings.map(
    ({ name: what, found, ok }): Diagnosis => ({ what, state: ok ? 'ok' : 'limited', found }),
  )
  return [whole, ...each]
}
