/** The documents of access control as records of the store. */
import type { Document, DocumentName, Documents } from '../auth/directory.ts'
import type { Io } from '../oci/io.ts'
import { accessKey } from '../storage/layout.ts'
import type { ObjectStore, StoredRecord } from '../storage/object-store.ts'
import { decodeRecord, encodeRecord, operation } from '../storage/record.ts'

interface Kept {
  readonly value: object
}

interface Known {
  readonly document: Document<object>
  /** Of the record that was read last, as `isCurrent` compares it. */
  readonly version: string | undefined
}

/**
 * A document that has not changed is the same object each time, however large it is: every request asks for it, and the
 * store's own memory (cached.ts) leaves out what is large.
 */
export function accessDocuments(store: ObjectStore): Documents {
  const latest = new Map<DocumentName, Known>()
  /** How often this process has written, or tried to: what was read across that is not trusted. */
  let writes = 0

  async function find(name: DocumentName, io: Io): Promise<Document<object> | undefined> {
    const key = accessKey(name)
    const known = latest.get(name)
    if (known?.version !== undefined && store.isCurrent?.(key, known.version)) return known.document
    const before = writes
    const record = await store.read(key, io)
    if (!record) {
      latest.delete(name)
      return undefined
    }
    // An etag is of what is in a record, and no two that were written have the same.
    const isSame = record.etag === known?.document.version
    const document = isSame ? known.document : documentOf(record)
    latest.set(name, { document, version: writes === before ? record.version : undefined })
    return document
  }

  /** Who has written sees what was written, and who was too late sees what was there before. */
  function forget(name: DocumentName): void {
    writes += 1
    const known = latest.get(name)
    if (known) latest.set(name, { ...known, version: undefined })
  }

  return {
    async read<Value>(name: DocumentName, io: Io) {
      // Only `write` writes under this key, and what it wrote has the type of its name.
      return (await find(name, io)) as Document<Value> | undefined
    },
    async write(name, value, version, io) {
      const condition = version === undefined ? { ifAbsent: true as const } : { ifMatch: version }
      forget(name)
      try {
        const options = { ...operation(io), condition }
        return (await store.write(accessKey(name), encodeRecord({ value }), options)) !== undefined
      } finally {
        forget(name)
      }
    },
  }
}

function documentOf(record: StoredRecord): Document<object> {
  return { value: decodeRecord<Kept>(record).value, version: record.etag }
}
