/**
 * Finds out what a bucket really does, by doing it: names and versions of stores promise what they do not keep. About
 * 240 requests and 16 MB, under keys that nobody else uses and that are removed again.
 */
import type { Io } from '../oci/io.ts'
import { nonce } from '../oci/nonce.ts'
import type { Bucket, Guarantees } from './bucket.ts'
import { type Check, type Decides, isUnsupported } from './bucket-check.ts'
import { objectChecks, raceChecks } from './bucket-object-checks.ts'
import { partChecks } from './bucket-part-checks.ts'
import { addressCheck, ageCheck } from './bucket-wire-checks.ts'
import { inParallel, operation } from './record.ts'

export interface Finding {
  readonly name: string
  readonly found: string
  readonly ok: boolean
}

export interface BucketReport {
  readonly guarantees: Guarantees
  /** A: keeps all conditions. B: those of writes. C: none. */
  readonly tier: 'A' | 'B' | 'C'
  readonly findings: readonly Finding[]
  /** Why nothing can be kept in it. */
  readonly reason?: string
  /** What is wrong with it for clients that are sent to it. */
  readonly noRedirect?: string
}

/** How long looking may take, and tidying up after it. */
const patienceMs = 30_000
const tidyMs = 10_000
const tidyWidth = 8

interface Judged extends Finding {
  readonly decides: Decides
  /** Nothing was found out. */
  readonly failed?: true
}

/** Longer than a store takes a request after it was signed. */
export const agedMinutes = 20

/**
 * Fails only when the signal aborts: what goes wrong otherwise is a finding. `aged`: the same bucket, by what signs as if
 * it were `agedMinutes` ago, and tries once.
 */
export function probeBucket(bucket: Bucket, io: Io, aged?: Bucket): Promise<BucketReport> {
  const ages = aged ? [ageCheck(aged, agedMinutes)] : []
  return probe(bucket, [...objectChecks, ...partChecks, addressCheck, ...ages], io)
}

/** Only what conditions it keeps, which is a matter of small objects. */
export function probeConditions(bucket: Bucket, io: Io): Promise<BucketReport> {
  return probe(
    bucket,
    objectChecks.filter(({ decides }) => decides === 'conditionalWrite' || decides === 'conditionalRemove'),
    io,
  )
}

async function probe(bucket: Bucket, checks: readonly Check[], { signal }: Io): Promise<BucketReport> {
  const { watched, tidy } = tidied(bucket)
  const prefix = `probe/${nonce()}/`
  const io = { signal: AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]) }
  const bench = { bucket: watched, prefix, options: operation(io) }
  const judge = async ({ name, decides, look }: Check): Promise<Judged> => {
    try {
      return { name, decides, ...(await look(bench)) }
    } catch (error) {
      const found = io.signal.aborted ? `no end of it within ${patienceMs / 1000} s` : messageOf(error)
      // What a store cannot do is known then. Anything else may be different the next time, and nothing follows from it.
      if (isUnsupported(error)) return { name, decides, found, ok: false }
      return { name, decides: decides === 'redirect' ? 'nothing' : 'service', found, ok: false, failed: true }
    }
  }
  try {
    // One after the other, so that those who are to meet in one really meet.
    const races = await inParallel(raceChecks, 1, judge)
    const rest = await Promise.all(checks.map(judge))
    signal.throwIfAborted()
    return reportOf([...races, ...rest])
  } finally {
    await tidy()
  }
}

function reportOf(judged: readonly Judged[]): BucketReport {
  const keeps = (what: Decides) => judged.every(({ decides, ok }) => ok || decides !== what)
  const conditionalWrite = keeps('conditionalWrite')
  // Nothing asks for removals under a condition where writes cannot have one.
  const conditionalRemove = conditionalWrite && keeps('conditionalRemove')
  const flaws = new Set(
    judged
      .filter(({ decides, ok }) => !ok && decides === 'service')
      .map(({ name, found, failed }) => (failed ? found : `${name}: ${found}`)),
  )
  const refusal = judged.find(({ decides, ok }) => !ok && decides === 'redirect')
  return {
    guarantees: { conditionalWrite, conditionalRemove },
    tier: conditionalRemove ? 'A' : conditionalWrite ? 'B' : 'C',
    findings: judged.map(({ name, found, ok }) => ({ name, found, ok })),
    ...(refusal && { noRedirect: refusal.found }),
    ...(flaws.size > 0 && { reason: `the bucket cannot be used: ${[...flaws].join('; ')}` }),
  }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

/** A bucket, and how to remove what is put into it. */
function tidied(bucket: Bucket) {
  const keys = new Set<string>()
  const uploads = new Map<string, string>()
  const watched: Bucket = {
    ...bucket,
    put(key, bytes, options) {
      keys.add(key)
      return bucket.put(key, bytes, options)
    },
    async startMultipart(key, io) {
      keys.add(key)
      const uploadId = await bucket.startMultipart(key, io)
      uploads.set(uploadId, key)
      return uploadId
    },
  }

  async function tidy(): Promise<void> {
    const options = operation({ signal: AbortSignal.timeout(tidyMs) })
    const open = [...uploads].map(([uploadId, key]) => ({ uploadId, key }))
    // What cannot be removed now does no harm where it is.
    await inParallel(open, tidyWidth, upload => bucket.abortMultipart(upload, options).catch(() => {}))
    await inParallel([...keys], tidyWidth, key => bucket.remove(key, options).catch(() => {}))
  }

  return { watched, tidy }
}
