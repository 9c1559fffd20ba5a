/** Finds out what a bucket really does. */
import type { Io } from '../oci/io.ts'
import { nonce } from '../oci/nonce.ts'
import type { Bucket, Guarantees } from './bucket.ts'
import { operation } from './record.ts'

export interface BucketReport {
  readonly guarantees: Guarantees
  readonly tier: 'A' | 'B' | 'C'
  readonly findings: readonly { readonly name: string; readonly found: string; readonly ok: boolean }[]
  readonly reason?: string
}

export async function probeBucket(bucket: Bucket, io: Io): Promise<BucketReport> {
  const key = `probe/${nonce()}`
  const options = operation(io)
  const put = () => bucket.put(key, Buffer.from('x'), { ...options, condition: { ifAbsent: true } })
  const winners = (await Promise.all(Array.from({ length: 8 }, put))).filter(written => written !== undefined)
  const conditionalWrite = winners.length === 1
  const conditionalRemove = !(await bucket.remove(key, { ...options, condition: { ifMatch: '"wrong"' } }))
  await bucket.remove(key, options)
  const tier = conditionalWrite ? (conditionalRemove ? 'A' : 'B') : 'C'
  return { guarantees: { conditionalWrite, conditionalRemove }, tier, findings: [] }
}
