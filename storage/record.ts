import type { Io } from '../oci/io.ts'
import { nonce } from '../oci/nonce.ts'
import type { MutationOptions, ObjectStore, StoredRecord, Written } from './object-store.ts'

/**
 * Records are JSON with a version and a nonce: identical content written twice has two etags, so that a condition on
 * an etag proves that nobody wrote in between.
 */
export function encodeRecord(fields: Readonly<Record<string, unknown>>): Buffer {
  return Buffer.from(JSON.stringify({ v: 1, ...fields, n: nonce() }))
}

const decoded = new WeakMap<StoredRecord, unknown>()

/**
 * What `encodeRecord` was given. Only this program writes records, so their shape is what the caller wrote under this
 * key. A record that a cache hands out again is not parsed again.
 */
export function decodeRecord<T>(record: StoredRecord): T {
  const known = decoded.get(record)
  if (known !== undefined) return known as T
  const fields = JSON.parse(record.bytes.toString()) as T
  decoded.set(record, fields)
  return fields
}

/** How long the writes of one operation may take from its first look at the store (docs/architecture.md). */
export const operationMs = 5 * 60_000

/** The options of the mutations that belong to one operation, which begins now. */
export function operation(io: Io): MutationOptions {
  return { signal: io.signal, deadlineMs: Date.now() + operationMs }
}

/** Two that write one record at once try again after a moment of their own. */
export const pause = () => new Promise(wake => setTimeout(wake, Math.random() * 10))

/**
 * Writes what `change` makes of a record, or of none, unless it makes nothing of it; what somebody else writes in
 * between is looked at anew. Undefined: nothing was written. Where asking is dear the first try is a guess, of which
 * nothing but its success means anything.
 */
export async function update(
  store: ObjectStore,
  key: string,
  change: (found: StoredRecord | undefined) => Buffer | undefined,
  options: MutationOptions,
): Promise<Written> {
  const writeOver = (found: StoredRecord | undefined, bytes: Buffer) => {
    const condition = found ? { ifMatch: found.etag } : { ifAbsent: true as const }
    return store.write(key, bytes, { ...options, condition })
  }
  if (store.remote && store.recall) {
    const guess = store.recall(key)
    const bytes = attempt(() => change(guess))
    const written = bytes && (await writeOver(guess, bytes))
    if (written) return written
  }
  for (;;) {
    const found = await store.read(key, options)
    const bytes = change(found)
    if (bytes === undefined) return undefined
    const written = await writeOver(found, bytes)
    if (written) return written
    await pause()
  }
}

function attempt<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch {
    return undefined
  }
}

/** How old a link or manifest may get before relying on it needs a new look (docs/architecture.md). */
export const graceMs = 24 * 3600_000
export const isFresh = (record: { readonly modifiedMs: number }) =>
  Date.now() - record.modifiedMs < graceMs / 2

/** Runs a task for each item, so many at a time; fails with the first failure. */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  task: (item: T) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length)
  let next = 0
  const worker = async () => {
    while (next < items.length) {
      const at = next++
      results[at] = await task(items[at] as T)
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker))
  return results
}
